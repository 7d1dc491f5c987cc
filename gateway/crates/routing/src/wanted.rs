//! What a translated request must know of the candidate that it is for.

use airside_protocols::RequestFields;
use airside_snapshot::Compiled;
use airside_translation::Wanted;

use crate::plan::Candidate;

impl<'a> Candidate<'a> {
    /// What is wanted of a request with these fields, translated for this candidate. Of its session nothing is known here.
    #[must_use]
    pub fn wanted<'w>(
        &self,
        compiled: &Compiled,
        fields: &'w RequestFields,
        answer_id: &'w str,
        now_s: i64,
    ) -> Wanted<'w>
    where
        'a: 'w,
    {
        let provider = compiled.snapshot.providers.get(self.provider);
        let model = &self.target.model;
        Wanted {
            model,
            shown_model: &fields.model,
            streams: fields.stream,
            default_output_tokens: self.target.max_output_tokens,
            cache_key: None,
            takes_cache_marks: provider.is_some_and(|provider| provider.takes_cache_marks(model)),
            can_think: self.target.can_think(),
            answer_id,
            now_s,
        }
    }
}

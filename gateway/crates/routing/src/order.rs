//! In which order the targets of a step are tried.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use airside_snapshot::Strategy;

use crate::estimate::expected_cost;
use crate::plan::{Asked, Surroundings, Usable};
use crate::speed::Pace;

/// What put the first target first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// The step's strategy.
    Strategy,
    /// It is a new target, and this session is among those that try it.
    Split,
    /// The session's prompt cache is there.
    Cache,
    /// The session moved there from another family not long ago.
    Pin,
}

impl Lead {
    /// In a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strategy => "strategy",
            Self::Split => "split",
            Self::Cache => "cache",
            Self::Pin => "pin",
        }
    }
}

/// A number by chance, the same for the same words and dice.
pub(crate) fn chance(dice: u64, words: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    dice.hash(&mut hasher);
    words.hash(&mut hasher);
    hasher.finish()
}

/// The place of something with this weight in a draw without putting back: the smallest comes first. After Efraimidis
/// and Spirakis, "Weighted random sampling with a reservoir" (2006).
#[expect(clippy::cast_precision_loss, reason = "chance needs no more digits than a float has")]
pub(crate) fn draw(chance: u64, weight: u32) -> f64 {
    let uniform = ((chance >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    -uniform.ln() / f64::from(weight.max(1))
}

/// The targets in the order they are tried. A target of a split stands first when `has_split` says so.
///
/// Whatever the strategy, a session stays where its prompt cache is warm, and where it was moved to from another family.
pub(crate) fn in_order<'a>(
    mut ready: Vec<Usable<'a>>,
    strategy: Strategy,
    has_split: bool,
    asked: &Asked<'_>,
    surroundings: &impl Surroundings,
) -> (Vec<Usable<'a>>, Lead) {
    let named = ready.first().map(|usable| usable.candidate.target);
    let split = named.filter(|_| has_split);
    let is_split = |usable: &Usable<'_>| split.is_some_and(|split| std::ptr::eq(split, usable.candidate.target));
    match strategy {
        Strategy::Ordered => {}
        Strategy::Weighted => ready.sort_by(|left, right| {
            let place = |usable: &Usable<'_>| {
                let target = usable.candidate.target;
                draw(
                    chance(asked.session_dice, &[&target.provider, &target.model]),
                    target.weight,
                )
            };
            place(left).total_cmp(&place(right))
        }),
        Strategy::Cheapest => ready.sort_by_cached_key(|usable| {
            let candidate = &usable.candidate;
            let (input, limit) = (asked.input_tokens, asked.output_limit);
            expected_cost(input, limit, candidate.target, candidate.price, asked.session)
        }),
        Strategy::Fastest => {
            ready.sort_by_cached_key(|usable| match surroundings.pace(usable.candidate.target) {
                Pace::Unknown => (0, 0),
                Pace::Measured(micros) => (1, micros),
                Pace::OnTrial => (2, 0),
            });
        }
    }
    ready.sort_by_key(|usable| !is_split(usable));
    let place = asked.session.place.as_ref();
    let is_place = |usable: &Usable<'_>| {
        let target = usable.candidate.target;
        place.is_some_and(|place| *place.provider == target.provider && *place.model == target.model)
    };
    ready.sort_by_key(|usable| !is_place(usable));
    let lead = match ready.first() {
        Some(first) if is_place(first) && asked.session.is_pinned => Lead::Pin,
        Some(first) if is_place(first) => Lead::Cache,
        Some(first) if is_split(first) => Lead::Split,
        _ => Lead::Strategy,
    };
    (ready, lead)
}

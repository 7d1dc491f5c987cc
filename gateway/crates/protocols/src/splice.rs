//! Putting another model's name into a body and changing nothing else.

use std::ops::Range;

use bytes::Bytes;

use crate::write::write_text;

/// The pieces of `body` with the value at `model_range` replaced by `model` as a JSON text.
///
/// The pieces around it share the body's memory; every other byte is the caller's own. An empty range means that the
/// body names no model, and nothing is put into it.
#[must_use]
pub fn replace_model(body: &Bytes, model_range: &Range<usize>, model: &str) -> [Bytes; 3] {
    let start = model_range.start.min(body.len());
    let end = model_range.end.clamp(start, body.len());
    let value = if start == end {
        Vec::new()
    } else {
        let mut value = Vec::with_capacity(model.len() + 2);
        write_text(&mut value, model);
        value
    };
    [body.slice(..start), Bytes::from(value), body.slice(end..)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, scan_request};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_byte_but_the_model_stays(
            before in "[ \t\r\n]{0,4}", key_space in "[ \n]{0,3}", old in any::<String>().prop_filter("a model has a name", |s| !s.is_empty()),
            new in any::<String>(), other in any::<String>(), after in "[ \t\r\n]{0,4}",
        ) {
            let text = format!(
                "{before}{{\"x\":{},\"model\"{key_space}:{},\"nested\":{{\"model\":1}}}}{after}",
                serde_json::to_string(&other).unwrap(), serde_json::to_string(&old).unwrap(),
            );
            let body = Bytes::from(text);
            let messages = Address::of("/v1/messages").unwrap();
            let fields = scan_request(&body, &messages).unwrap();
            prop_assert_eq!(&fields.model, &old);
            let pieces = replace_model(&body, &fields.model_range, &new);
            prop_assert_eq!(&pieces[0][..], &body[..fields.model_range.start]);
            prop_assert_eq!(&pieces[2][..], &body[fields.model_range.end..]);
            let whole: Vec<u8> = pieces.concat();
            let again = scan_request(&whole, &messages);
            if new.is_empty() { prop_assert!(again.is_err()) } else { prop_assert_eq!(again.unwrap().model, new) }
        }
    }

    #[test]
    fn a_body_that_names_no_model_stays_as_it_is() {
        let body = Bytes::from_static(b"{}");
        assert_eq!(replace_model(&body, &(0..0), "m").concat(), b"{}");
    }
}

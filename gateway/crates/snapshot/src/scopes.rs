//! Which limits concern whom: limits by the kind of scope and by what they name.

use foldhash::HashMap;

use crate::model::{BudgetWindow, ScopeKind};

/// Names everything of a kind, each by itself.
const EACH: &str = "*";

/// Places of limits in a list of the snapshot.
#[derive(Debug, Default)]
pub(crate) struct ByScope {
    kinds: HashMap<ScopeKind, HashMap<String, Vec<usize>>>,
}

impl ByScope {
    pub(crate) fn of<'a>(scopes: impl Iterator<Item = (ScopeKind, &'a str)>) -> Self {
        let mut index = Self::default();
        for (at, (kind, id)) in scopes.enumerate() {
            let named = index.kinds.entry(kind).or_default();
            named.entry(id.to_owned()).or_default().push(at);
        }
        index
    }

    /// Where the limits on one scope stand: those that name it, and those that name each of its kind.
    pub(crate) fn find(&self, kind: ScopeKind, id: &str) -> (&[usize], &[usize]) {
        let named = self.kinds.get(&kind);
        let at = |id: &str| named.and_then(|named| named.get(id)).map(Vec::as_slice);
        (at(id).unwrap_or_default(), at(EACH).unwrap_or_default())
    }
}

/// The limits at these places. What names a scope counts before what names each of its kind, window by window.
pub(crate) fn chosen<'a, T>(
    limits: &'a [T],
    (own, each): (&'a [usize], &'a [usize]),
    window: fn(&T) -> BudgetWindow,
) -> impl Iterator<Item = &'a T> {
    let at = |places: &'a [usize]| places.iter().filter_map(|place| limits.get(*place));
    let is_replaced = move |limit: &T| at(own).any(|other| window(other) == window(limit));
    at(own).chain(at(each).filter(move |limit| !is_replaced(limit)))
}

//! Which limits concern whom: limits by the kind of scope and by what they name.

use foldhash::HashMap;

use crate::model::{BudgetWindow, ScopeKind};

/// Names everything of a kind, each by itself.
const EACH: &str = "*";

/// Places of limits in a list of the snapshot.
#[derive(Debug, Default)]
pub(crate) struct ByScope {
    /// In the order of `ScopeKind`.
    kinds: [OfKind; ScopeKind::COUNT],
}

/// Those of one kind of scope.
#[derive(Debug, Default)]
struct OfKind {
    named: HashMap<String, Vec<usize>>,
    each: Vec<usize>,
}

impl ByScope {
    pub(crate) fn of<'a>(scopes: impl Iterator<Item = (ScopeKind, &'a str)>) -> Self {
        let mut index = Self::default();
        for (at, (kind, id)) in scopes.enumerate() {
            let Some(of_kind) = index.kinds.get_mut(kind as usize) else {
                continue;
            };
            if id == EACH {
                of_kind.each.push(at);
            } else {
                of_kind.named.entry(id.to_owned()).or_default().push(at);
            }
        }
        index
    }

    /// Where the limits on one scope stand: those that name it, and those that name each of its kind.
    pub(crate) fn find(&self, kind: ScopeKind, id: &str) -> (&[usize], &[usize]) {
        let Some(of_kind) = self.kinds.get(kind as usize) else {
            return (&[], &[]);
        };
        let named = of_kind.named.get(id).map(Vec::as_slice);
        (named.unwrap_or_default(), &of_kind.each)
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

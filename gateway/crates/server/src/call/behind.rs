//! What is left to do of a call whose answer is out.
//!
//! A caller has no use for the record of its call, so it does not wait for it: the record is written when the bytes of
//! the answer are with the kernel. The money is settled before, and whoever drops this writes down what is in it.

use std::sync::{Mutex, PoisonError};

use super::settle::Call;

/// The call of a connection that is settled and not written down yet; HTTP/1.1 answers one at a time.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    call: Mutex<Option<Box<Call>>>,
}

impl Behind {
    pub(super) fn put(&self, call: Box<Call>) {
        drop(self.replace(Some(call)));
    }

    /// Write down what is there.
    pub(crate) fn write_down(&self) {
        drop(self.replace(None));
    }

    fn replace(&self, call: Option<Box<Call>>) -> Option<Box<Call>> {
        std::mem::replace(&mut *self.call.lock().unwrap_or_else(PoisonError::into_inner), call)
    }
}

//! Whether a worker takes nothing new any more, as its connections learn it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Told once by a worker to all its connections, which are served by the same thread.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    is_so: AtomicBool,
    word: Notify,
}

impl Leaving {
    /// What is under way is finished, and nothing new begun.
    pub(crate) fn tell(&self) {
        self.is_so.store(true, Ordering::Release);
        self.word.notify_waiters();
    }

    /// A look, which costs nothing.
    pub(crate) fn is_so(&self) -> bool {
        self.is_so.load(Ordering::Acquire)
    }

    /// What a connection listens with.
    pub(crate) fn ear(&self) -> Ear<'_> {
        Ear {
            leaving: self,
            word: Box::pin(self.word.notified()),
            listens: false,
        }
    }
}

/// One task's.
#[derive(Debug)]
pub(crate) struct Ear<'a> {
    leaving: &'a Leaving,
    word: Pin<Box<Notified<'a>>>,
    listens: bool,
}

impl Ear<'_> {
    /// True if the worker takes nothing new; else the task that asks is woken then.
    pub(crate) fn poll_told(&mut self, cx: &mut Context<'_>) -> bool {
        // A task is listened for once: whatever it waits for next, it is woken.
        if !self.listens {
            self.listens = true;
            let _ = self.word.as_mut().poll(cx);
        }
        self.leaving.is_so()
    }
}

//! Work that no call waits for.

use std::cell::Cell;

use rustix::process::{getpriority_process, setpriority_process};
use tokio::task::JoinError;

/// How much less it counts than a call's thread where both want the processor: a tenth, by the kernel's weights.
const NICE: i32 = 10;

thread_local! {
    static IS_BEHIND: Cell<bool> = const { Cell::new(false) };
}

/// Do this on a thread for it, behind the threads that serve calls: delivery and upkeep of the journal come in bursts
/// of milliseconds, and on a busy machine a call would wait for the end of one.
pub(crate) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    tokio::task::spawn_blocking(move || {
        step_behind();
        work()
    })
    .await
}

/// On Linux a nice value is a thread's own. Where it cannot be set, the work is as important as any.
fn step_behind() {
    if !IS_BEHIND.replace(true)
        && let Ok(now) = getpriority_process(None)
    {
        let _ = setpriority_process(None, now.max(NICE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_work_steps_behind() {
        let before = getpriority_process(None).unwrap();
        let during = in_background(|| getpriority_process(None)).await.unwrap();
        assert_eq!(during.unwrap(), before.max(NICE));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}

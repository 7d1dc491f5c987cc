//! The way to providers: connections, the pool that keeps them, and one exchange over one of them.
//!
//! An HTTP/1.1 connection is driven by the call that uses it, in that call's own task: no hop to another task lies
//! between a byte that arrives and the caller it is for, and a call that is dropped closes its connection at once.

mod answer_head;
mod body;
mod connect;
mod decoded;
mod exchange;
mod http1;
mod pool;

pub(crate) use body::OutBody;
pub(crate) use connect::Connector;
pub(crate) use exchange::{Answer, AnswerBody, BodyFault, Destination, Late, Message, SendFault, Way, send};
pub(crate) use pool::Pool;

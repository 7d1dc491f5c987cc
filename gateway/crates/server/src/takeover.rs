//! One gateway takes over from another: the listening sockets change hands, so that no connection is refused and none
//! that waits to be accepted is lost.
//!
//! The new one asks, at a socket in the data directory, and is given the listeners themselves. Once it serves it says
//! so; then the old one accepts nothing more, gives up the directory, and leaves when its calls are over. Until that
//! word nothing has changed: a new gateway that fails on its way leaves the old one as it was.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;

const SOCKET: &str = "take-over.sock";
/// The words of this conversation; the last byte of the second tells if there is a unix listener too.
const ASK: &[u8; 10] = b"take over\n";
const HERE: &[u8; 10] = b"listeners\n";
const SERVING: &[u8; 8] = b"serving\n";
const YOURS: &[u8; 6] = b"yours\n";
/// For a word that is due at once.
const PROMPTLY: Duration = Duration::from_secs(5);
/// For a gateway to come up.
pub(crate) const COMING_UP: Duration = Duration::from_mins(1);

/// Where a gateway listens.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) tcp: TcpListener,
    pub(crate) unix: Option<UnixListener>,
}

impl Doors {
    /// The same doors once more.
    pub(crate) fn again(&self) -> io::Result<Self> {
        Ok(Self {
            tcp: self.tcp.try_clone()?,
            unix: self.unix.as_ref().map(UnixListener::try_clone).transpose()?,
        })
    }
}

/// What the new gateway got, before it has said that it serves.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) doors: Doors,
    channel: UnixStream,
}

/// Ask the gateway that serves from this directory for its doors.
pub(crate) fn ask(data: &Path) -> io::Result<Offer> {
    let mut channel = UnixStream::connect(data.join(SOCKET))?;
    channel.set_read_timeout(Some(PROMPTLY))?;
    channel.set_write_timeout(Some(PROMPTLY))?;
    channel.write_all(ASK)?;
    let mut word = [0; HERE.len()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        &channel,
        &mut [IoSliceMut::new(&mut word)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    if received.bytes != HERE.len() || word != *HERE {
        return Err(io::Error::other("it did not hand over its listeners"));
    }
    let mut handed = ancillary.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect::<Vec<OwnedFd>>(),
        _ => Vec::new(),
    });
    let tcp = handed
        .next()
        .ok_or_else(|| io::Error::other("it handed over no listener"))?;
    let doors = Doors {
        tcp: tcp.into(),
        unix: handed.next().map(Into::into),
    };
    drop(handed);
    Ok(Offer { doors, channel })
}

impl Offer {
    /// Say that the new gateway serves. When this returns, the old one accepts nothing more and holds nothing.
    pub(crate) fn accept(mut self) -> io::Result<()> {
        self.channel.write_all(SERVING)?;
        expect(&mut self.channel, YOURS)
    }
}

fn expect<const N: usize>(channel: &mut UnixStream, word: &[u8; N]) -> io::Result<()> {
    let mut said = [0; N];
    channel.read_exact(&mut said)?;
    if said == *word {
        return Ok(());
    }
    Err(io::Error::other("it said something else"))
}

/// Wait at the directory's socket for a gateway that takes over, and give it these doors. Returns what is to be done
/// when the old one has let go; `None` when it was told to stop meanwhile.
pub(crate) async fn wait_for_successor(
    gateway: Arc<Gateway>,
    listener: tokio::net::UnixListener,
    doors: Doors,
    stop: CancellationToken,
) -> Option<Succession> {
    let doors = Arc::new(doors);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        let Ok((channel, _)) = accepted else {
            // Out of descriptors, most often. The next who asks may be luckier.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let theirs = Arc::clone(&doors);
        let handing = tokio::task::spawn_blocking(move || hand_over(channel.into_std()?, &theirs));
        match handing.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(channel) => return Some(Succession { channel }),
            Err(error) => gateway
                .log
                .warn("take_over_failed", json!({"detail": error.to_string()})),
        }
    }
}

fn hand_over(mut channel: UnixStream, doors: &Doors) -> io::Result<UnixStream> {
    channel.set_nonblocking(false)?;
    channel.set_read_timeout(Some(PROMPTLY))?;
    channel.set_write_timeout(Some(PROMPTLY))?;
    expect(&mut channel, ASK)?;
    let descriptors: Vec<BorrowedFd<'_>> = std::iter::once(doors.tcp.as_fd())
        .chain(doors.unix.iter().map(UnixListener::as_fd))
        .collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("the listeners do not fit into a message"));
    }
    sendmsg(&channel, &[IoSlice::new(HERE)], &mut ancillary, SendFlags::NOSIGNAL)?;
    channel.set_read_timeout(Some(COMING_UP))?;
    expect(&mut channel, SERVING)?;
    Ok(channel)
}

/// A successor that serves already, and waits for us to let go.
#[derive(Debug)]
pub(crate) struct Succession {
    channel: UnixStream,
}

impl Succession {
    /// Everything that only one may hold is free.
    pub(crate) fn let_go(mut self) {
        // A successor that is gone meanwhile is started again by whoever started it.
        let _ = self.channel.write_all(YOURS);
    }
}

/// The socket at which a successor asks.
pub(crate) fn socket_in(data: &Path) -> std::path::PathBuf {
    data.join(SOCKET)
}

//! Sockets between the runtime and its hosts: messages with descriptors, bounded conversations with a deadline.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, Shutdown,
};

/// Most descriptors of a message: as swap.py has it.
const MAX_FDS: usize = 16;

/// Sends one packet with descriptors.
pub(super) fn order(control: impl AsFd, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    rustix::net::sendmsg(control, &[IoSlice::new(message)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives some bytes, and the number of the process that sent them where the socket asks for credentials.
fn receive(socket: impl AsFd, buffer: &mut [u8], sender: &mut Option<u32>) -> rustix::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1), ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags)?;
    for message in ancillary.drain() {
        // The end of a conversation comes from nobody.
        if let RecvAncillaryMessage::ScmCredentials(credentials) = message
            && received.bytes > 0
        {
            *sender = u32::try_from(credentials.pid.as_raw_nonzero().get()).ok();
        }
    }
    debug_assert!(!received.flags.contains(ReturnFlags::CTRUNC));
    Ok(received.bytes)
}

/// How long is left, for poll.
fn left(deadline: Instant) -> Timespec {
    Timespec::try_from(deadline.saturating_duration_since(Instant::now()))
        .unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 })
}

/// One conversation: a body goes out to its end, a reply comes in.
pub(super) struct Talk<'a> {
    socket: &'a OwnedFd,
    body: &'a [u8],
    sent: usize,
    /// What came in.
    pub reply: Vec<u8>,
    /// The other end has been closed.
    pub ended: bool,
    /// Which process wrote the reply, where asked.
    pub sender: Option<u32>,
}

impl<'a> Talk<'a> {
    pub fn new(socket: &'a OwnedFd, body: &'a [u8]) -> Self {
        Self { socket, body, sent: 0, reply: Vec::new(), ended: false, sender: None }
    }

    /// Whether there is a whole line, or will be none.
    pub fn is_answered(&self) -> bool {
        self.ended || self.reply.last() == Some(&b'\n')
    }

    /// What to wait for; nothing once it has ended.
    pub fn wants(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        if !self.ended {
            flags |= PollFlags::IN;
            if self.sent < self.body.len() {
                flags |= PollFlags::OUT;
            }
        }
        flags
    }

    /// Sends and receives what is possible now.
    pub fn go_on(&mut self) {
        while self.sent < self.body.len() {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::net::send(self.socket, &self.body[self.sent..], flags) {
                Ok(n) => {
                    self.sent += n;
                    if self.sent == self.body.len() {
                        let _ = rustix::net::shutdown(self.socket, Shutdown::Write);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => self.sent = self.body.len(),
            }
        }
        let mut buffer = [0; 64 * 1024];
        while !self.ended {
            match receive(self.socket, &mut buffer, &mut self.sender) {
                Ok(0) => self.ended = true,
                Ok(n) => {
                    self.reply.extend_from_slice(&buffer[..n]);
                    // The caller looks at the length before more is taken in.
                    if n == buffer.len() {
                        return;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.ended = true,
            }
        }
    }
}

/// Sends a body and takes the reply to the end of its line.
///
/// # Errors
/// When it does not end in time, gets longer than `most`, or `stop` is set meanwhile.
pub(super) fn converse(
    socket: &OwnedFd,
    body: &[u8],
    limit: Duration,
    most: usize,
    stop: &AtomicBool,
) -> io::Result<(Vec<u8>, Option<u32>)> {
    let deadline = Instant::now() + limit;
    let mut talk = Talk::new(socket, body);
    loop {
        talk.go_on();
        if talk.reply.len() > most {
            return Err(io::Error::other("the answer is too long"));
        }
        if talk.is_answered() {
            break;
        }
        if Instant::now() >= deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} ms", limit.as_millis())));
        }
        wait_unless(stop, &mut [PollFd::new(socket, talk.wants())], deadline)?;
    }
    Ok((talk.reply, talk.sender))
}

/// Waits until one of them is ready, or the deadline.
pub(super) fn wait(polled: &mut [PollFd<'_>], deadline: Instant) -> io::Result<()> {
    match rustix::event::poll(polled, Some(&left(deadline))) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// The same, and gives up soon after `stop` is set.
///
/// # Errors
/// [`io::ErrorKind::Interrupted`] then.
pub(super) fn wait_unless(stop: &AtomicBool, polled: &mut [PollFd<'_>], deadline: Instant) -> io::Result<()> {
    /// How often it is looked at.
    const LOOK: Duration = Duration::from_millis(50);
    if stop.load(Ordering::SeqCst) {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "the runtime ends"));
    }
    wait(polled, deadline.min(Instant::now() + LOOK))
}

/// The reading end of a log, with the part that is kept.
pub(super) struct Log {
    pipe: File,
    kept: Vec<u8>,
    most: usize,
    /// Bytes that were let go.
    pub cut: u64,
    /// Nobody can write to it any more.
    pub ended: bool,
}

impl Log {
    /// A log of at most `most` bytes, and its writing end.
    pub fn new(most: usize) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let flags = rustix::fs::fcntl_getfl(&ours)?;
        rustix::fs::fcntl_setfl(&ours, flags | rustix::fs::OFlags::NONBLOCK)?;
        Ok((Self { pipe: File::from(ours), kept: Vec::new(), most, cut: 0, ended: false }, theirs))
    }

    pub fn wants(&self) -> PollFlags {
        if self.ended { PollFlags::empty() } else { PollFlags::IN }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Takes what is there; bounded, so that who never stops writing does not keep the reader.
    pub fn go_on(&mut self) {
        let mut buffer = [0; 64 * 1024];
        for _ in 0..8 {
            match rustix::io::read(&self.pipe, &mut buffer) {
                Ok(0) => {
                    self.ended = true;
                    return;
                }
                Ok(n) => {
                    let keep = n.min(self.most.saturating_sub(self.kept.len()));
                    self.kept.extend_from_slice(&buffer[..keep]);
                    self.cut += (n - keep) as u64;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.ended = true;
                    return;
                }
            }
        }
    }

    /// What was kept, with a note where something was not.
    pub fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.kept).into_owned();
        if self.cut > 0 {
            text.push_str(&format!("\n[{} bytes more]\n", self.cut));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_log_keeps_its_beginning_and_says_what_it_let_go() {
        let (mut log, theirs) = Log::new(5).unwrap();
        let mut writer = File::from(theirs);
        writer.write_all(b"0123456789").unwrap();
        log.go_on();
        assert!(!log.ended);
        drop(writer);
        log.go_on();
        assert!(log.ended);
        assert_eq!((log.text().as_str(), log.cut), ("01234\n[5 bytes more]\n", 5));
    }

    #[test]
    fn a_conversation_ends_with_its_other_end_or_its_deadline() {
        use rustix::net::SocketType;
        let no = AtomicBool::new(false);
        let (ours, theirs) = crate::live::sandbox::sockets(SocketType::STREAM).unwrap();
        let silent = std::os::unix::net::UnixStream::from(theirs);
        let late = converse(&ours, b"body", Duration::from_millis(20), 100, &no).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        drop(silent);
        let (ours, theirs) = crate::live::sandbox::sockets(SocketType::STREAM).unwrap();
        rustix::net::sockopt::set_socket_passcred(&ours, true).unwrap();
        let mut other = std::os::unix::net::UnixStream::from(theirs);
        let echo = std::thread::spawn(move || {
            let mut body = String::new();
            io::Read::read_to_string(&mut other, &mut body).unwrap();
            other.write_all(body.to_uppercase().as_bytes()).unwrap();
            other.write_all(b"\n").unwrap();
        });
        let body = "x".repeat(1 << 20);
        let (reply, sender) = converse(&ours, body.as_bytes(), Duration::from_secs(20), 1 << 21, &no).unwrap();
        echo.join().unwrap();
        assert_eq!((reply.len(), reply[0], sender), ((1 << 20) + 1, b'X', Some(std::process::id())));
        let (ours, theirs) = crate::live::sandbox::sockets(SocketType::STREAM).unwrap();
        std::os::unix::net::UnixStream::from(theirs).write_all(b"0123456789").unwrap();
        assert!(converse(&ours, b"", Duration::from_secs(20), 5, &no).unwrap_err().to_string().contains("too long"));
        let (ours, _silent) = crate::live::sandbox::sockets(SocketType::STREAM).unwrap();
        let given_up = converse(&ours, b"", Duration::from_secs(3600), 5, &AtomicBool::new(true)).unwrap_err();
        assert_eq!(given_up.kind(), io::ErrorKind::Interrupted);
    }

    #[test]
    fn descriptors_travel_with_a_message() {
        use rustix::net::SocketType;
        let (ours, theirs) = crate::live::sandbox::sockets(SocketType::SEQPACKET).unwrap();
        let (mut log, writer) = Log::new(10).unwrap();
        order(&ours, b"{}", &[writer.as_fd()]).unwrap();
        drop((ours, writer));
        log.go_on();
        assert!(!log.ended, "it is held by the message on its way");
        drop(theirs);
        log.go_on();
        assert!(log.ended);
    }
}

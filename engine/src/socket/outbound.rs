//! The queue of frames that wait for one socket, bounded in bytes.
//!
//! Anyone may push; only the writer takes, and it takes everything at once. When the client is slow, roster
//! frames are shed first; a message that finds the queue over its bound closes the session with 4001, since
//! leaving a message out would be a lie. An answer doesn't count against that bound, but there is only one at a
//! time: who wants the next must have taken the last.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::protocol::code::CloseCode;

/// Places for frames that a queue keeps when it is empty.
const KEPT_FRAMES_MAX: usize = 64;

/// What a frame is worth to a slow client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// Must arrive, or the connection ends.
    Essential,
    /// May be left out: the client gets a newer one when it has caught up.
    Sheddable,
    /// May be left out, and is the first to go: it is of no use later.
    Fleeting,
}

/// What live frames are worth that wait for something to stand before them, should that not come because the queue is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alone {
    /// They are complete by themselves: what was awaited is older than all that the client knows.
    Whole,
    /// They would hide a hole: what was awaited lies between them and what the client knows.
    Holed,
}

/// What became of a pushed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits for the writer.
    Queued,
    /// It was left out.
    Shed,
    /// The queue is closed, by this push or before it.
    Closed,
}

/// What the writer finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Frames, in order.
    Frames,
    /// Everything has been sent but what was shed.
    CaughtUp,
    /// Nothing more comes: say goodbye with this code, if any, and end.
    End(Option<CloseCode>),
}

/// The queue.
#[derive(Debug)]
pub struct Outbound {
    state: Mutex<State>,
    /// Wakes who waits for room.
    drained: Notify,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Bytes>,
    /// Live frames that wait until the answer that is being made stands before them.
    held: Option<Held>,
    bytes: usize,
    /// What is left of the last answer: what a client asked for doesn't make it a slow one.
    answer_bytes: usize,
    /// What must be sent until the last answer is.
    answer_end: usize,
    closing: Option<Option<CloseCode>>,
    /// The writer's task, while it waits for something.
    writer: Option<Waker>,
    /// Whether it waits for frames, too, and not only for the end.
    writer_waits: bool,
    /// Where a frame may be written at once while the writer waits.
    stream: Option<Arc<TcpStream>>,
    /// Whether a part of the first frame was written so.
    begun: bool,
    room_wanted: bool,
    shed: bool,
}

#[derive(Debug)]
struct Held {
    frames: Vec<Bytes>,
    alone: Alone,
}

impl Outbound {
    /// A queue that lets at most so many bytes wait. One frame may go beyond, so that a frame of any size can
    /// be sent.
    pub fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::default(), drained: Notify::new(), bytes_max }
    }

    /// Sends a live frame.
    pub fn push(&self, frame: Bytes, worth: Worth) -> Pushed {
        let mut state = self.state.lock();
        if state.closing.is_some() {
            return Pushed::Closed;
        }
        if worth == Worth::Fleeting && state.bytes > self.bytes_max / 4 + state.answer_bytes {
            return Pushed::Shed;
        }
        if worth == Worth::Sheddable && state.bytes > self.bytes_max / 2 + state.answer_bytes {
            state.shed = true;
            return Pushed::Shed;
        }
        if state.bytes > self.bytes_max + state.answer_bytes {
            self.close_now(&mut state, Some(CloseCode::SLOW_CONSUMER));
            return Pushed::Closed;
        }
        state.bytes += frame.len();
        if let Some(held) = &mut state.held {
            held.frames.push(frame);
        } else {
            state.frames.push_back(frame);
            let writer = state.fill();
            drop(state);
            // Woken without the lock, which is the first thing that it takes.
            if let Some(writer) = writer {
                writer.wake();
            }
        }
        Pushed::Queued
    }

    /// Frames may be written into this at once, until [`Outbound::detach`].
    pub fn attach(&self, stream: Arc<TcpStream>) {
        self.state.lock().stream = Some(stream);
    }

    /// The socket is about to be closed.
    pub fn detach(&self) {
        self.state.lock().stream = None;
    }

    /// Sends a live frame that must arrive, right here if nothing waits before it: that spares a wake of the writer's
    /// task, and many such in a row keep the other side awake. It doesn't gather, so it is for frames after which no other
    /// is in sight.
    pub fn push_at_once(&self, frame: &Bytes) -> Pushed {
        let mut rest = frame.clone();
        {
            let mut state = self.state.lock();
            // A socket that can't be written now is the writer's business, an error of it, too.
            let written = state.free_stream().and_then(|stream| stream.try_write(frame).ok()).unwrap_or(0);
            if written == frame.len() {
                return Pushed::Queued;
            }
            if written > 0 {
                rest.advance(written);
                state.begun = true;
                state.bytes += rest.len();
                state.frames.push_back(rest);
                if let Some(writer) = state.fill() {
                    writer.wake();
                }
                return Pushed::Queued;
            }
        }
        self.push(rest, Worth::Essential)
    }

    /// Whether a part of the first frame that was taken last is written already.
    pub fn has_begun(&self) -> bool {
        std::mem::take(&mut self.state.lock().begun)
    }

    /// Holds live frames back until [`Outbound::release`]. While they are held already, they stay what they are.
    pub fn hold(&self, alone: Alone) {
        let mut state = self.state.lock();
        state.held.get_or_insert(Held { frames: Vec::new(), alone });
    }

    /// Whether live frames wait for something to stand before them.
    pub fn holds_any(&self) -> bool {
        self.state.lock().held.as_ref().is_some_and(|held| !held.frames.is_empty())
    }

    /// Puts frames before those that are held back, which stay so.
    pub fn lead(&self, frames: impl IntoIterator<Item = Bytes>) {
        let mut state = self.state.lock();
        if state.closing.is_some() {
            return;
        }
        for frame in frames {
            state.bytes += frame.len();
            state.frames.push_back(frame);
        }
        if let Some(writer) = state.fill() {
            writer.wake();
        }
    }

    /// Puts an answer before the live frames that were held back, and lets all go. The answer may be larger than
    /// what may wait: [`Outbound::room`] has seen to it that there is only one.
    pub fn release(&self, answer: impl IntoIterator<Item = Bytes>) {
        let mut state = self.state.lock();
        if state.closing.is_some() {
            return;
        }
        let held = state.held.take().map(|held| held.frames).unwrap_or_default();
        let held_bytes: usize = held.iter().map(Bytes::len).sum();
        state.answer_bytes = 0;
        for frame in answer {
            state.answer_bytes += frame.len();
            state.frames.push_back(frame);
        }
        state.answer_end =
            if state.answer_bytes == 0 { 0 } else { state.bytes - held_bytes + state.answer_bytes };
        state.bytes += state.answer_bytes;
        state.frames.extend(held);
        if let Some(writer) = state.fill() {
            writer.wake();
        }
    }

    /// Ends the queue: what waits is still sent, then the goodbye. `None` ends without one. The first call wins.
    ///
    /// What live frames wait for is not waited for. They go without it if they are [`Alone::Whole`] then; others are dropped,
    /// since a client that got them would take itself for further than it is, and come back behind the hole.
    pub fn close(&self, code: Option<CloseCode>) {
        let mut state = self.state.lock();
        if state.closing.is_none() {
            let held = state.held.take().filter(|held| held.alone == Alone::Whole);
            state.frames.extend(held.into_iter().flat_map(|held| held.frames));
            state.closing = Some(code);
            state.wake_writer();
            self.drained.notify_waiters();
        }
    }

    /// Ends the queue and throws away what waits: the other side is gone.
    pub fn abort(&self) {
        let mut state = self.state.lock();
        self.close_now(&mut state, None);
    }

    /// Whether the queue has ended, and with which goodbye.
    pub fn ending(&self) -> Option<Option<CloseCode>> {
        self.state.lock().closing
    }

    /// Waits until the queue has ended. For the writer, while it waits for the socket.
    pub async fn ended(&self) {
        poll_fn(|context| {
            let mut state = self.state.lock();
            if state.closing.is_some() {
                return Poll::Ready(());
            }
            state.wake_later(context.waker());
            Poll::Pending
        })
        .await;
    }

    /// Waits until the last answer is sent and so little waits that another may be added: a client that asks must
    /// also read. False when the queue has ended.
    pub async fn room(&self) -> bool {
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            {
                let mut state = self.state.lock();
                if state.closing.is_some() {
                    return false;
                }
                if self.has_room(&state) {
                    return true;
                }
                state.room_wanted = true;
            }
            drained.await;
        }
    }

    /// Takes everything that waits, once there is something. What is put into `frames` replaces what it held,
    /// and its memory is used again for what comes next.
    pub async fn take(&self, frames: &mut VecDeque<Bytes>) -> Taken {
        poll_fn(|context| {
            let mut state = self.state.lock();
            match state.take(frames) {
                Some(taken) => Poll::Ready(taken),
                None => {
                    state.wake_later(context.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Takes everything that waits, if there is something. The bytes count as waiting until [`Outbound::sent`].
    pub fn try_take(&self, frames: &mut VecDeque<Bytes>) -> Option<Taken> {
        self.state.lock().take(frames)
    }

    /// The writer has handed so many bytes to the kernel.
    pub fn sent(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
        state.answer_end = state.answer_end.saturating_sub(bytes);
        state.answer_bytes = state.answer_bytes.min(state.answer_end);
        if state.room_wanted && self.has_room(&state) {
            state.room_wanted = false;
            self.drained.notify_waiters();
        }
    }

    fn has_room(&self, state: &State) -> bool {
        state.answer_bytes == 0 && state.bytes <= self.bytes_max / 4
    }

    fn close_now(&self, state: &mut State, code: Option<CloseCode>) {
        // What is half sent is finished before a goodbye, which would be taken for its rest.
        state.frames.truncate(usize::from(state.begun && code.is_some()));
        state.held = None;
        state.bytes = state.frames.iter().map(Bytes::len).sum();
        // An abort overrules a goodbye that nobody would hear.
        if state.closing.is_none() || code.is_none() {
            state.closing = Some(code);
        }
        // The writer may be waiting for the socket rather than for frames.
        state.wake_writer();
        self.drained.notify_waiters();
    }
}

impl State {
    fn take(&mut self, frames: &mut VecDeque<Bytes>) -> Option<Taken> {
        if !self.frames.is_empty() {
            // A long queue's memory isn't kept for a short one.
            if frames.capacity() > KEPT_FRAMES_MAX {
                *frames = VecDeque::new();
            }
            frames.clear();
            std::mem::swap(&mut self.frames, frames);
            return Some(Taken::Frames);
        }
        if let Some(code) = self.closing {
            return Some(Taken::End(code));
        }
        if std::mem::take(&mut self.shed) {
            return Some(Taken::CaughtUp);
        }
        self.writer_waits = true;
        None
    }

    /// The stream, while nothing waits to be written into it and nobody writes.
    fn free_stream(&self) -> Option<&TcpStream> {
        let free =
            self.writer_waits && self.frames.is_empty() && self.held.is_none() && self.closing.is_none();
        self.stream.as_deref().filter(|_| free)
    }

    fn wake_later(&mut self, waker: &Waker) {
        match &mut self.writer {
            // Costs nothing when it is the same task, which it nearly always is.
            Some(writer) => writer.clone_from(waker),
            None => self.writer = Some(waker.clone()),
        }
    }

    /// There are frames: whom to wake.
    fn fill(&mut self) -> Option<Waker> {
        if std::mem::take(&mut self.writer_waits) { self.writer.take() } else { None }
    }

    /// The end has come, which the writer hears whatever it waits for.
    fn wake_writer(&mut self) {
        self.writer_waits = false;
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(size: usize) -> Bytes {
        Bytes::from(vec![0; size])
    }

    fn take(outbound: &Outbound) -> Option<Taken> {
        outbound.try_take(&mut VecDeque::new())
    }

    fn frames(outbound: &Outbound) -> Vec<usize> {
        let mut frames = VecDeque::new();
        assert_eq!(outbound.try_take(&mut frames), Some(Taken::Frames));
        frames.iter().map(Bytes::len).collect()
    }

    #[test]
    fn everything_that_waits_is_taken_at_once_and_in_order() {
        let outbound = Outbound::new(100);
        for size in 1..=3 {
            assert_eq!(outbound.push(frame(size), Worth::Essential), Pushed::Queued);
        }
        assert_eq!(frames(&outbound), [1, 2, 3]);
        assert_eq!(take(&outbound), None);
    }

    #[test]
    fn held_frames_come_after_the_history() {
        let outbound = Outbound::new(100);
        outbound.hold(Alone::Holed);
        outbound.push(frame(3), Worth::Essential);
        assert_eq!(take(&outbound), None);
        outbound.release([frame(1), frame(2)]);
        outbound.push(frame(4), Worth::Essential);
        assert_eq!(frames(&outbound), [1, 2, 3, 4]);
    }

    #[test]
    fn a_slow_client_loses_rosters_and_then_its_connection_but_never_a_message() {
        let outbound = Outbound::new(100);
        outbound.push(frame(60), Worth::Essential);
        assert_eq!(outbound.push(frame(1), Worth::Sheddable), Pushed::Shed);
        assert_eq!(outbound.push(frame(60), Worth::Essential), Pushed::Queued, "one may go beyond");
        assert_eq!(outbound.push(frame(1), Worth::Essential), Pushed::Closed);
        assert_eq!(take(&outbound), Some(Taken::End(Some(CloseCode::SLOW_CONSUMER))));
    }

    #[test]
    fn a_large_answer_makes_nobody_slow() {
        let outbound = Outbound::new(100);
        outbound.hold(Alone::Whole);
        outbound.release([frame(500)]);
        assert_eq!(outbound.push(frame(1), Worth::Sheddable), Pushed::Queued);
        assert_eq!(outbound.push(frame(100), Worth::Essential), Pushed::Queued);
        assert_eq!(
            outbound.push(frame(1), Worth::Essential),
            Pushed::Closed,
            "but what comes after it counts"
        );
    }

    #[test]
    fn live_frames_behind_a_page_that_will_not_come_are_sent_before_the_goodbye() {
        let outbound = Outbound::new(100);
        outbound.release([frame(1)]);
        outbound.push(frame(2), Worth::Essential);
        outbound.hold(Alone::Whole);
        outbound.push(frame(3), Worth::Essential);
        outbound.close(Some(CloseCode::DRAIN));
        outbound.release([frame(9)]);
        assert_eq!(frames(&outbound), [1, 2, 3]);
        assert_eq!(take(&outbound), Some(Taken::End(Some(CloseCode::DRAIN))));
    }

    #[test]
    fn live_frames_behind_a_replay_that_will_not_come_are_not_sent_since_they_would_hide_a_hole() {
        let outbound = Outbound::new(100);
        outbound.hold(Alone::Holed);
        outbound.lead([frame(1)]);
        assert_eq!(frames(&outbound), [1]);
        outbound.push(frame(3), Worth::Essential);
        outbound.hold(Alone::Whole);
        outbound.close(Some(CloseCode::REMOVED));
        outbound.release([frame(9)]);
        assert_eq!(take(&outbound), Some(Taken::End(Some(CloseCode::REMOVED))));
    }

    /// Two ends of a stream: the one that is written into holds next to nothing.
    async fn streams() -> (Arc<TcpStream>, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = tokio::net::TcpSocket::new_v4().unwrap();
        far.set_recv_buffer_size(4_096).unwrap();
        let (far, near) = tokio::join!(far.connect(listener.local_addr().unwrap()), listener.accept());
        let near = near.unwrap().0;
        socket2::SockRef::from(&near).set_send_buffer_size(4_096).unwrap();
        near.writable().await.unwrap();
        (Arc::new(near), far.unwrap())
    }

    #[tokio::test]
    async fn a_frame_is_written_at_once_only_while_nothing_waits_before_it() {
        let (near, far) = streams().await;
        let outbound = Outbound::new(1 << 20);
        outbound.attach(near);
        assert_eq!(outbound.push_at_once(&frame(1)), Pushed::Queued);
        assert_eq!(frames(&outbound), [1], "no writer waits yet");
        assert_eq!(take(&outbound), None);
        assert_eq!(outbound.push_at_once(&frame(2)), Pushed::Queued);
        assert_eq!(take(&outbound), None, "it is on its way");
        far.readable().await.unwrap();
        assert_eq!(far.try_read(&mut [0; 10]).unwrap(), 2);
        outbound.hold(Alone::Whole);
        outbound.push_at_once(&frame(3));
        outbound.release([frame(9)]);
        assert_eq!(frames(&outbound), [9, 3]);
    }

    #[tokio::test]
    async fn what_is_half_sent_is_finished_before_a_goodbye() {
        let (near, _far) = streams().await;
        let outbound = Outbound::new(10);
        outbound.attach(near);
        assert_eq!(take(&outbound), None);
        let large = 8 << 20;
        assert_eq!(outbound.push_at_once(&frame(large)), Pushed::Queued);
        assert_eq!(outbound.push_at_once(&frame(1)), Pushed::Closed, "it is slow");
        let mut rest = VecDeque::new();
        assert_eq!(outbound.try_take(&mut rest), Some(Taken::Frames));
        assert!(outbound.has_begun() && rest.len() == 1 && rest[0].len() < large);
        assert_eq!(take(&outbound), Some(Taken::End(Some(CloseCode::SLOW_CONSUMER))));
    }

    #[tokio::test]
    async fn only_one_answer_waits_at_a_time() {
        let outbound = Outbound::new(100);
        outbound.push(frame(5), Worth::Essential);
        outbound.hold(Alone::Whole);
        outbound.push(frame(7), Worth::Essential);
        outbound.release([frame(10)]);
        let waiting = outbound.room();
        tokio::pin!(waiting);
        assert_eq!(frames(&outbound), [5, 10, 7]);
        for sent in [5, 9] {
            outbound.sent(sent);
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        outbound.sent(1);
        assert!(waiting.await, "what came after the answer doesn't matter");
    }

    #[test]
    fn a_client_that_has_caught_up_is_told_of_losses_once() {
        let outbound = Outbound::new(100);
        outbound.push(frame(60), Worth::Essential);
        outbound.push(frame(1), Worth::Sheddable);
        assert_eq!(frames(&outbound), [60]);
        outbound.push(frame(1), Worth::Sheddable);
        outbound.sent(60);
        assert_eq!(take(&outbound), Some(Taken::CaughtUp));
        assert_eq!(take(&outbound), None);
    }

    #[test]
    fn a_closed_queue_is_emptied_before_the_goodbye() {
        let outbound = Outbound::new(100);
        outbound.push(frame(5), Worth::Essential);
        outbound.close(Some(CloseCode::DRAIN));
        outbound.close(Some(CloseCode::REMOVED));
        assert_eq!(outbound.push(frame(6), Worth::Essential), Pushed::Closed);
        assert_eq!(frames(&outbound), [5]);
        assert_eq!(take(&outbound), Some(Taken::End(Some(CloseCode::DRAIN))), "the first call wins");
    }

    #[tokio::test]
    async fn who_asks_waits_until_there_is_room() {
        let outbound = Outbound::new(100);
        assert!(outbound.room().await);
        outbound.push(frame(80), Worth::Essential);
        let waiting = outbound.room();
        tokio::pin!(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        outbound.sent(80);
        assert!(waiting.await);
        outbound.push(frame(80), Worth::Essential);
        outbound.abort();
        assert!(!outbound.room().await);
    }
}

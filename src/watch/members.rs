//! The ranges that one watch is over: what each has received, and where it is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use etcd_core::error::{Error, Result, WatchError};
use etcd_core::key::KeyRange;
use etcd_core::machine::{BatchBuffer, EventBatch, Offered, WatchOrigin, WatchOutput};
use etcd_core::message;
use etcd_core::rpc::Request;

use super::connection::Connection;
use super::member::{Link, Member, Place};
use crate::client::lock;

/// One range of a watch.
pub(super) type MemberId = u64;

/// The ranges of one watch, in the order of their coming.
#[derive(Default)]
pub(super) struct Members {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Boxed, because a map makes room for eleven at once, and most watches are over one range.
    members: BTreeMap<MemberId, Box<Member>>,
    next: MemberId,
    /// Those that have something to take, each once.
    ready: VecDeque<MemberId>,
    /// Where the ranges that are gone had got to.
    left_at: Place,
    is_closed: bool,
    reader: Option<Waker>,
    /// Whoever waits for a creation, or for progress.
    waiting: Vec<Waker>,
}

/// What becomes of a range that is to be added.
pub(super) enum Added {
    /// It is a new one.
    New(MemberId),
    /// It is there.
    Present,
    /// Somebody else is about to add it.
    Joining(MemberId),
}

/// What a connection has to do about an output.
pub(super) enum Feedback {
    None,
    Full { from: i64 },
    Over,
}

impl Members {
    /// Adds a range that starts at `start`, unless it is there already. One that has ended, of which that was not told yet,
    /// is not there.
    ///
    /// # Errors
    ///
    /// [`WatchError::Canceled`] if the watch is over.
    pub(super) fn add(
        &self,
        keys: &KeyRange,
        (start, origin): (i64, WatchOrigin),
        buffer: BatchBuffer,
    ) -> Result<Added> {
        let mut state = lock(&self.state);
        if state.is_closed {
            return Err(WatchError::Canceled.into());
        }
        if let Some((id, member)) = state.find(keys) {
            return Ok(if member.is_joined {
                Added::Present
            } else {
                Added::Joining(id)
            });
        }
        let id = state.next;
        state.next += 1;
        let member = Box::new(Member::new(keys.clone(), start, origin, buffer));
        state.members.insert(id, member);
        Ok(Added::New(id))
    }

    /// Takes note of where a range's watch is; `false` if the range is gone.
    pub(super) fn set_link(&self, id: MemberId, link: Link) -> bool {
        let mut state = lock(&self.state);
        let member = state.members.get_mut(&id);
        member.map(|member| member.link = Some(link)).is_some()
    }

    /// Is ready once the range that somebody else adds is there, or will not be.
    pub(super) fn poll_settled(&self, id: MemberId, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        let member = state.members.get(&id);
        if member.is_none_or(|member| member.is_joined || member.has_ended()) {
            return Poll::Ready(());
        }
        state.wait(cx);
        Poll::Pending
    }

    /// Is ready once the range's watch was created, or could not be; it is one of the watch's ranges then, or gone.
    pub(super) fn poll_created(&self, id: MemberId, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let (created, wakers) = {
            let mut state = lock(&self.state);
            let state = &mut *state;
            let Some(member) = state.members.get_mut(&id) else {
                return Poll::Ready(Err(WatchError::Canceled.into()));
            };
            if member.is_created {
                member.is_joined = true;
                // Others may wait for the same range.
                let mut wakers = std::mem::take(&mut state.waiting);
                if member.has_something() && !member.is_ready {
                    member.is_ready = true;
                    state.ready.push_back(id);
                    wakers.extend(state.reader.take());
                }
                (Ok(()), wakers)
            } else if let Some(error) = member.ended.take() {
                state.members.remove(&id);
                (Err(describe(error)), state.take_wakers())
            } else {
                state.wait(cx);
                return Poll::Pending;
            }
        };
        wakers.into_iter().for_each(Waker::wake);
        Poll::Ready(created)
    }

    /// Is ready once everything before `position` was received in all ranges that have not ended; with `false` if there is
    /// none of them.
    pub(super) fn poll_received(&self, position: i64, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = lock(&self.state);
        let mut living = state
            .members
            .values()
            .filter(|member| member.is_living())
            .peekable();
        if living.peek().is_none() {
            return Poll::Ready(false);
        }
        if living.all(|member| member.received >= position) {
            return Poll::Ready(true);
        }
        state.wait(cx);
        Poll::Pending
    }

    /// The next batch, or the error of a range, which then is gone; `None` when there is no range left. With it comes
    /// whose watch can go on, if one had to wait for room.
    #[allow(clippy::type_complexity)] // an item of a stream, and what to do beside
    pub(super) fn poll_take(
        &self,
        cx: &mut Context<'_>,
        wants_progress: bool,
    ) -> (Poll<Option<Result<(KeyRange, EventBatch)>>>, Vec<Link>) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let mut has_room = Vec::new();
        while let Some(id) = state.ready.pop_front() {
            let Some(member) = state.members.get_mut(&id) else {
                continue;
            };
            let taken = member.take(wants_progress);
            if member.buffer.takes_more() {
                has_room.extend(member.link.clone());
            }
            member.is_ready = member.has_something();
            if member.is_ready {
                state.ready.push_back(id);
            }
            let keys = member.keys.clone();
            let item = match taken {
                None => continue,
                Some(Ok(batch)) => Ok((keys, batch)),
                Some(Err(error)) => {
                    state.remove(id);
                    Err(describe(error).with_keys(keys))
                }
            };
            return (Poll::Ready(Some(item)), has_room);
        }
        if state.is_closed || state.members.is_empty() {
            state.is_closed = true;
            return (Poll::Ready(None), has_room);
        }
        state.reader = Some(cx.waker().clone());
        (Poll::Pending, has_room)
    }

    /// Takes what the connection has to say about a range, and who is to be woken for it.
    pub(super) fn handle_output(
        &self,
        id: MemberId,
        output: WatchOutput,
        wakers: &mut Vec<Waker>,
    ) -> Feedback {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let Some(member) = state.members.get_mut(&id) else {
            return Feedback::Over;
        };
        let mut feedback = Feedback::None;
        match output {
            WatchOutput::Created => member.is_created = true,
            WatchOutput::Left => {}
            WatchOutput::Batch(batch) => {
                let position = batch.position();
                match member.buffer.offer(batch) {
                    Offered::Taken => member.received = position,
                    Offered::Full { from } => feedback = Feedback::Full { from },
                    Offered::Lagged => feedback = Feedback::Over,
                }
            }
            WatchOutput::Position(position) => {
                member.buffer.offer_position(position);
                member.received = position;
            }
            WatchOutput::Ended(error) => {
                member.ended = Some(error);
                feedback = Feedback::Over;
            }
        }
        if member.is_joined && member.has_something() && !member.is_ready {
            member.is_ready = true;
            state.ready.push_back(id);
            wakers.extend(state.reader.take());
        }
        wakers.append(&mut state.waiting);
        feedback
    }

    /// Removes a range; where its watch is, if there was one.
    pub(super) fn remove(&self, id: MemberId) -> Option<Link> {
        let (link, wakers) = {
            let mut state = lock(&self.state);
            let link = state.remove(id).and_then(|member| member.link);
            (link, state.take_wakers())
        };
        wakers.into_iter().for_each(Waker::wake);
        link
    }

    /// The range with these keys; one that has ended, of which that was not told yet, if there is no other.
    pub(super) fn find(&self, keys: &KeyRange) -> Option<MemberId> {
        let state = lock(&self.state);
        let living = state.find(keys).map(|(id, _)| id);
        let mut members = state.members.iter();
        living.or_else(|| {
            members
                .find(|(_, member)| member.keys == *keys)
                .map(|(id, _)| *id)
        })
    }

    /// Ends the watch: removes all ranges, and says where their watches are.
    pub(super) fn close(&self) -> Vec<Link> {
        let (links, wakers) = {
            let mut state = lock(&self.state);
            state.is_closed = true;
            state.left_at = state.place();
            let members = std::mem::take(&mut state.members);
            state.ready.clear();
            let links = members.into_values().filter_map(|member| member.link).collect();
            (links, state.take_wakers())
        };
        wakers.into_iter().for_each(Waker::wake);
        links
    }

    /// The ranges, in the order of their coming.
    pub(super) fn keys(&self) -> Vec<KeyRange> {
        let state = lock(&self.state);
        let joined = state.members.values().filter(|member| member.is_joined);
        joined.map(|member| member.keys.clone()).collect()
    }

    /// Where the range is that lies furthest behind.
    pub(super) fn place(&self) -> Place {
        lock(&self.state).place()
    }

    /// The connections of the ranges that have not ended: one, or, after a fall-back, one for each range.
    pub(super) fn connections(&self) -> Vec<Arc<Connection>> {
        let state = lock(&self.state);
        let living = state.members.values().filter(|member| !member.has_ended());
        let mut connections: Vec<Arc<Connection>> = Vec::new();
        for link in living.filter_map(|member| member.link.as_ref()) {
            if !connections
                .last()
                .is_some_and(|last| Arc::ptr_eq(last, &link.connection))
            {
                connections.push(link.connection.clone());
            }
        }
        connections
    }
}

impl State {
    /// The range with these keys that has not ended.
    fn find(&self, keys: &KeyRange) -> Option<(MemberId, &Member)> {
        let mut found = self
            .members
            .iter()
            .filter(|(_, member)| member.keys == *keys && !member.has_ended());
        found.next().map(|(id, member)| (*id, &**member))
    }

    fn place(&self) -> Place {
        let joined = self.members.values().filter(|member| member.is_joined);
        let lowest = joined.map(|member| member.taken).min();
        lowest.unwrap_or(self.left_at)
    }

    fn remove(&mut self, id: MemberId) -> Option<Box<Member>> {
        let removed = self.members.remove(&id);
        if let Some(member) = &removed
            && member.is_joined
            && self.members.is_empty()
        {
            self.left_at = member.taken;
        }
        removed
    }

    fn wait(&mut self, cx: &Context<'_>) {
        if !self.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        let mut wakers = std::mem::take(&mut self.waiting);
        wakers.extend(self.reader.take());
        wakers
    }
}

/// Adds to an error which call it ended, if it does not say.
fn describe(error: Error) -> Error {
    if error.rpc().is_some() {
        return error;
    }
    error.with_rpc(message::Watch::RPC.name, message::Watch::RPC.retry)
}

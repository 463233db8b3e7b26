//! How a call runs: its beginning, its messages, its end, and the time in between.

use std::time::Instant;

use etcd_core::error::Code;
use etcd_core::rpc::{Rpc, RpcKind};

use super::waiting::Waiting;
use super::{Call, CallId, CallOptions, Output, OutputEvent, Server, jitter};
use crate::{Request, Response, Status};

impl Server {
    pub(super) fn begin(&mut self, now: Instant, rpc: &'static Rpc, options: CallOptions) -> CallId {
        self.advance(now);
        let call = CallId(self.next_call);
        self.next_call += 1;
        *self.begun.entry(rpc.name).or_default() += 1;
        let deadline = options.timeout.and_then(|timeout| self.now.checked_add(timeout));
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, call));
        }
        let known = Call {
            rpc,
            token: options.token,
            requires_leader: options.require_leader,
            deadline,
            waiting: Waiting::ForMessages,
        };
        self.calls.insert(call, known);
        call
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let now = self.now;
        self.propose_to_end_leases();
        while !self.is_replica()
            && let Some(lease) = self.state.leases.expired(now)
            && self.state.revoke(lease).is_ok()
        {
            // A real server proposes it to the log like any other request.
            self.applied += 1;
            self.tell();
        }
        let mut random = self.random.clone();
        self.watches
            .handle_timeout(now, &self.state.store, &mut |bound| jitter(&mut random, bound));
        self.random = random;
        while let Some((deadline, call)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.deadlines.remove(&(deadline, call));
            self.expire(call);
        }
        self.flush_watches();
    }

    fn expire(&mut self, call: CallId) {
        if self.calls.contains_key(&call) {
            self.withdraw(call);
            self.end(
                call,
                Err(Status::new(Code::DeadlineExceeded, "context deadline exceeded")),
            );
        }
    }

    /// Ends a call whose client does not wait for its end.
    pub(super) fn abandon(&mut self, call: CallId) {
        self.withdraw(call);
        self.forget(call);
    }

    /// Lets everyone know what changed, until nothing changes any more.
    pub(super) fn settle(&mut self) {
        self.tell();
        while self.settled < self.state.store.revision() {
            self.settled += 1;
            self.wake(self.settled);
            self.tell();
        }
        self.wake_by_index();
        self.flush_watches();
    }

    fn tell(&mut self) {
        self.watches.handle_commit(&self.state.store);
    }

    pub(super) fn take(&mut self, call: CallId, request: Request) {
        if self.is_replica() {
            self.take_as_replica(call, request);
        } else {
            self.run(call, request);
        }
    }

    /// Does here and now what a request asks for.
    pub(super) fn run(&mut self, call: CallId, request: Request) {
        let Some(known) = self.calls.get(&call) else {
            return;
        };
        let token = known.token.clone();
        match request {
            Request::Watch(watch) => self.take_watch(call, token.as_deref(), watch),
            Request::LeaseKeepAlive(renewal) => self.take_keep_alive(call, token.as_deref(), &renewal),
            Request::Lock(lock) => self.take_lock(call, token.as_deref(), &lock),
            Request::Campaign(campaign) => self.take_campaign(call, token.as_deref(), &campaign),
            Request::Observe(observe) => self.take_observe(call, token.as_deref(), &observe),
            Request::Snapshot(_) => self.take_snapshot(call, token.as_deref()),
            unary => {
                let answer = self.answer(token.as_deref(), unary);
                self.finish(call, answer);
            }
        }
    }

    pub(super) fn finish(&mut self, call: CallId, answer: Result<Response, Status>) {
        match answer {
            Ok(response) => {
                self.send(call, response);
                self.end(call, Ok(()));
            }
            Err(status) => self.end(call, Err(status)),
        }
    }

    pub(super) fn send(&mut self, call: CallId, response: Response) {
        let event = OutputEvent::Message(response);
        self.outputs.push_back(Output { call, event });
    }

    pub(super) fn end(&mut self, call: CallId, result: Result<(), Status>) {
        if self.forget(call) {
            let event = OutputEvent::End(result);
            self.outputs.push_back(Output { call, event });
        }
    }

    fn forget(&mut self, call: CallId) -> bool {
        let Some(known) = self.calls.remove(&call) else {
            return false;
        };
        self.waiting.remove(&call);
        if let Some(deadline) = known.deadline {
            self.deadlines.remove(&(deadline, call));
        }
        if known.rpc.kind == RpcKind::Bidirectional {
            // What its watches had to say before the end still goes out.
            self.flush_watches();
            self.watches.close(call);
        }
        true
    }

    pub(super) fn wait(&mut self, call: CallId, waiting: Waiting) {
        if let Some(known) = self.calls.get_mut(&call) {
            match waiting {
                Waiting::ForMessages => self.waiting.remove(&call),
                _ => self.waiting.insert(call),
            };
            known.waiting = waiting;
        }
    }
}

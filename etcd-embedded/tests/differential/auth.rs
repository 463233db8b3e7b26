//! Users, roles, permissions and tokens, and what they allow.

use bytes::Bytes;
use etcd_core::codec::Secret;
use etcd_core::message::*;

use etcd_embedded::Dialect;

use super::Plan;
use super::generator::Generator;
use super::pair::{Ask, Pair};
use super::streams::Stream;
use super::{keys, mask};

const USERS: [&str; 5] = ["root", "ann", "bob", "cay", ""];
/// The role `root` is never deleted: for a while after it was, and was granted anew, 3.5.30 sometimes denies root what it
/// asks for, which depends on time.
const ROLES: [&str; 4] = ["root", "reader", "writer", ""];

pub fn compare(plan: Plan) {
    let mut generator = Generator::new(plan.seed);
    // In the tree of permissions, what becomes of a reversed range depends on the tree's shape.
    generator.reverses = false;
    let mut run = Run {
        pair: Pair::start(plan),
        generator,
        logins: Vec::new(),
    };
    for _ in 0..plan.steps {
        run.pair.step();
        run.step();
    }
    run.pair.finish("users");
}

struct Run {
    pair: Pair,
    generator: Generator,
    /// The tokens of the last logins, there and here.
    logins: Vec<Login>,
}

#[derive(Clone)]
struct Login {
    user: &'static str,
    there: String,
    here: String,
}

impl Run {
    fn step(&mut self) {
        match self.generator.below(40) {
            0..=15 => {
                let ask = keys::step(&mut self.generator, self.pair.revision);
                self.ask_with_token(&ask);
            }
            16..=19 => self.log_in(),
            20 | 21 => self.watch(),
            22 => self.turn_on(),
            23 => {
                if self.generator.one_in(4) {
                    self.ask_with_token(&Ask::of(&AuthDisable::default()));
                }
            }
            24 => self.ask_with_token(&Ask::of(&AuthStatus::default())),
            25 => {
                let elsewhere = [
                    Ask::of(&MemberList::default()),
                    Ask::of(&Alarm::default()),
                    Ask::of(&Compact::new(self.pair.revision)),
                    Ask::of(&Defragment::default()),
                ];
                let number = usize::try_from(self.generator.below(4)).unwrap();
                self.ask_with_token(&elsewhere[number]);
            }
            26..=32 => {
                let ask = self.about_users();
                self.ask_with_token(&ask);
            }
            33..=35 => {
                let ask = self.about_roles();
                self.ask_with_token(&ask);
            }
            _ => self.grant(),
        }
    }

    fn user(&mut self) -> &'static str {
        // The one without a name rarely.
        let known = if self.generator.one_in(20) { 5 } else { 4 };
        USERS[usize::try_from(self.generator.below(known)).unwrap()]
    }

    fn role(&mut self) -> &'static str {
        let known = if self.generator.one_in(20) { 4 } else { 3 };
        ROLES[usize::try_from(self.generator.below(known)).unwrap()]
    }

    fn password(&mut self) -> &'static str {
        ["1", "1", "1", "2", ""][usize::try_from(self.generator.below(5)).unwrap()]
    }

    fn about_users(&mut self) -> Ask {
        match self.generator.below(12) {
            0..=2 => {
                let mut add = UserAdd::new(self.user(), self.password());
                if self.generator.one_in(6) {
                    let mut options = UserAddOptions::default();
                    options.no_password = true;
                    add.options = Some(options);
                }
                Ask::of(&add)
            }
            3 => Ask::of(&UserGet::new(self.user())),
            4 => Ask::of(&UserList::default()),
            5 if self.generator.one_in(2) => Ask::of(&UserDelete::new(self.user())),
            6 => Ask::of(&UserChangePassword::new(self.user(), self.password())),
            7 => Ask::of(&UserRevokeRole::new(self.user(), self.role())),
            _ => Ask::of(&UserGrantRole::new(self.user(), self.role())),
        }
    }

    fn about_roles(&mut self) -> Ask {
        match self.generator.below(8) {
            0..=2 => Ask::of(&RoleAdd::new(self.role())),
            3 => Ask::of(&RoleGet::new(self.role())),
            4 => Ask::of(&RoleList::default()),
            5 if self.generator.one_in(3) => {
                let role = self.role();
                Ask::of(&RoleDelete::new(if role == "root" { "reader" } else { role }))
            }
            _ => {
                let mut revoke = RoleRevokePermission::default();
                revoke.role = self.role().to_owned();
                (revoke.key, revoke.range_end) = self.keys();
                Ask::of(&revoke)
            }
        }
    }

    /// Grants a permission, unless the role has so many that Go's sort leaves the order of those with one key to chance.
    fn grant(&mut self) {
        let role = self.role();
        let get = Ask::of(&RoleGet::new(role));
        let (there, here) = self.with_token(&get);
        let known = self.pair.ask_as(&there, &here);
        // Sorting by insertion is stable; the Go of 3.5.1 does so only up to six of them.
        let limit = if self.pair.plan.dialect == Dialect::G1_16 {
            5
        } else {
            11
        };
        let ask = if known["perm"].as_array().is_some_and(|known| known.len() >= limit) {
            if role == "root" {
                return;
            }
            Ask::of(&RoleDelete::new(role))
        } else {
            let mut permission = Permission::default();
            permission.permission_type = match self.generator.below(3) {
                0 => PermissionType::Read,
                1 => PermissionType::Write,
                _ => PermissionType::ReadWrite,
            };
            (permission.key, permission.range_end) = self.keys();
            if self.pair.plan.dialect == Dialect::G2 && self.generator.one_in(10) {
                // Refused there, and kept by older servers.
                (permission.key, permission.range_end) = (permission.range_end, permission.key);
            }
            Ask::of(&RoleGrantPermission::new(role, permission))
        };
        let with = |asked: &Ask| Ask {
            headers: asked.headers.clone(),
            ..ask.clone()
        };
        self.pair.ask_as(&with(&there), &with(&here));
    }

    fn keys(&mut self) -> (Bytes, Bytes) {
        let key = self.generator.key();
        let range_end = self.generator.range_end(&key);
        (key, range_end)
    }

    /// Sees to it that there is a root who can log in, and turns authentication on.
    fn turn_on(&mut self) {
        for ask in [
            Ask::of(&UserAdd::new("root", "1")),
            Ask::of(&UserGrantRole::new("root", "root")),
            Ask::of(&AuthEnable::default()),
        ] {
            self.ask_with_token(&ask);
        }
    }

    fn log_in(&mut self) {
        let user = self.user();
        let mut login = Authenticate::default();
        login.name = user.to_owned();
        login.password = Secret::from(self.password());
        let ask = Ask::of(&login);
        let (there, here) = self.pair.ask_raw(&ask, &ask);
        self.pair.assert_same(&ask, &there, &here);
        if let (Some(there), Some(here)) = (mask::token(&there.body), mask::token(&here.body)) {
            self.logins.push(Login { user, there, here });
            if self.logins.len() > 6 {
                self.logins.remove(0);
            }
        }
    }

    /// Under a recent login, mostly; sometimes without one, or with something that is none.
    fn ask_with_token(&mut self, ask: &Ask) {
        let (there, here) = self.with_token(ask);
        self.pair.ask_as(&there, &here);
    }

    fn with_token(&mut self, ask: &Ask) -> (Ask, Ask) {
        let with = |token: &str| ask.clone().header("Authorization", token);
        match self.generator.below(20) {
            0 | 1 => (ask.clone(), ask.clone()),
            2 => (with("nonsense"), with("nonsense")),
            number => {
                let roots = self.logins.iter().rev().find(|login| login.user == "root");
                let any = self.logins.get(usize::try_from(number % 6).unwrap());
                let login = if number < 11 { roots } else { any };
                match login {
                    Some(Login { there, here, .. }) => (with(there), with(here)),
                    None => (ask.clone(), ask.clone()),
                }
            }
        }
    }

    /// A watch that is permitted or not.
    fn watch(&mut self) {
        let mut create = WatchCreate::default();
        (create.key, create.range_end) = self.keys();
        let (there, here) = self.with_token(&Ask::at("/v3/watch", &Watch::Create(create)));
        let mut stream = Stream::open(&mut self.pair, &there, &here);
        stream.compare(&mut self.pair);
        stream.close(&mut self.pair);
    }
}

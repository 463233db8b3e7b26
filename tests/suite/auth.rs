//! Users, roles, permissions; logging in, and logging in again.

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use anyetcd::message::{Permission, PermissionType, UserAdd};
use anyetcd::{Client, ErrorKind, EtcdError, prefix};
use etcd_process::Dialect;
use futures_util::future::join_all;

use super::{Server, World, eventually, pause};

pub(super) const LOGINS: &str = "grpc_server_started_total{grpc_method=\"Authenticate\",\
    grpc_service=\"etcdserverpb.Auth\",grpc_type=\"unary\"}";

pub(crate) async fn users_and_roles_are_added_read_listed_and_deleted(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    let auth = client.auth();
    auth.user_add("ada", "secret").await.unwrap();
    auth.user_add("bob", "secret").await.unwrap();
    auth.role_add("reader").await.unwrap();
    auth.role_add("writer").await.unwrap();
    assert_eq!(auth.user_list().await.unwrap().users, ["ada", "bob"]);
    assert_eq!(auth.role_list().await.unwrap().roles, ["reader", "writer"]);

    auth.role_grant_permission("reader", Permission::read(prefix("a/")))
        .await
        .unwrap();
    auth.role_grant_permission("reader", Permission::read_write("one"))
        .await
        .unwrap();
    let mut permissions = auth.role_get("reader").await.unwrap().permissions;
    permissions.sort_by(|a, b| a.key.cmp(&b.key));
    let found: Vec<_> = permissions
        .iter()
        .map(|each| (&each.permission_type, &each.key[..], &each.range_end[..]))
        .collect();
    let (read, both) = (&PermissionType::Read, &PermissionType::ReadWrite);
    assert_eq!(found, [(read, &b"a/"[..], &b"a0"[..]), (both, b"one", b"")]);
    auth.role_revoke_permission("reader", prefix("a/")).await.unwrap();
    assert_eq!(auth.role_get("reader").await.unwrap().permissions.len(), 1);

    auth.user_grant_role("ada", "reader").await.unwrap();
    assert_eq!(auth.user_get("ada").await.unwrap().roles, ["reader"]);
    auth.user_revoke_role("ada", "reader").await.unwrap();
    assert!(auth.user_get("ada").await.unwrap().roles.is_empty());
    auth.user_delete("bob").await.unwrap();
    auth.role_delete("writer").await.unwrap();
    assert_eq!(auth.user_list().await.unwrap().users, ["ada"]);
    assert_eq!(auth.role_list().await.unwrap().roles, ["reader"]);

    let refusals = [
        (auth.user_add("ada", "x").await.err(), EtcdError::UserAlreadyExists),
        (auth.user_get("bob").await.err(), EtcdError::UserNotFound),
        (auth.role_add("reader").await.err(), EtcdError::RoleAlreadyExists),
        (auth.role_get("writer").await.err(), EtcdError::RoleNotFound),
        (auth.user_grant_role("ada", "writer").await.err(), EtcdError::RoleNotFound),
        (auth.user_revoke_role("ada", "reader").await.err(), EtcdError::RoleNotGranted),
        (
            auth.role_revoke_permission("reader", "other").await.err(),
            EtcdError::PermissionNotGranted,
        ),
        (auth.enable().await.err(), EtcdError::RootUserNotExist),
        (auth.authenticate("ada", "secret").await.err(), EtcdError::AuthNotEnabled),
    ];
    for (error, expected) in refusals {
        assert_eq!(error.unwrap().etcd(), Some(expected));
    }
}

pub(crate) async fn a_wrong_password_is_tried_once_for_all_that_wait(world: World) {
    let server = world.own_server();
    with_auth(&server).await;
    let client = login(&server, "app", "wrong").build().unwrap();
    let logins = server.metric(LOGINS).unwrap();
    let calls = (0..100).map(|_| client.get("app/k").into_future());
    for result in join_all(calls).await {
        assert_eq!(result.unwrap_err().etcd(), Some(EtcdError::AuthFailed));
    }
    // The server meters each login it is asked for. Whoever began to wait after a refusal tries for itself.
    let tried = server.metric(LOGINS).unwrap() - logins;
    assert!((1.0..=10.0).contains(&tried), "{tried} logins");
}

pub(crate) async fn a_user_may_do_what_its_roles_permit(world: World) {
    let server = world.own_server();
    with_auth(&server).await;
    let app = login(&server, "app", "app-1").connect().await.unwrap();
    app.put("app/k", "v").await.unwrap();
    assert_eq!(app.get("app/k").await.unwrap().count, 1);
    for error in [
        app.put("other", "v").await.unwrap_err(),
        app.get("other").await.unwrap_err(),
        app.delete(prefix("")).await.unwrap_err(),
        app.auth().user_add("eve", "x").await.unwrap_err(),
    ] {
        assert_eq!(error.etcd(), Some(EtcdError::PermissionDenied));
        assert!(error.is_retry_safe() && !error.is_auth_stale(), "{error:?}");
    }

    let anonymous = World::client_of(&server);
    let error = anonymous.get("app/k").await.unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::UserEmpty));
    for (name, password) in [("app", "wrong"), ("nobody", "app-1")] {
        let error = login(&server, name, password).connect().await.unwrap_err();
        assert_eq!(error.etcd(), Some(EtcdError::AuthFailed));
        assert!(!format!("{error} {error:?}").contains("app-1"));
    }

    let root = login(&server, "root", "root-1").build().unwrap();
    root.call(UserAdd::without_password("certificate")).await.unwrap();
    let error = root.auth().authenticate("certificate", "x").await.unwrap_err();
    assert!(error.server().is_some(), "{error:?}");
    match (world.dialect, root.auth().status().await) {
        (Dialect::G1_6, Err(error)) => assert!(matches!(error.kind(), ErrorKind::Http(_)), "{error:?}"),
        (Dialect::G1_16 | Dialect::G2, Ok(status)) => assert!(status.enabled && status.auth_revision > 1),
        (_, answer) => panic!("{answer:?}"),
    }
}

pub(crate) async fn tokens_that_expired_or_were_lost_are_renewed_unseen_with_one_login_for_all(
    world: World,
) {
    let ttl = Duration::from_secs(1);
    let mut server = Server::builder(world.dialect).auth_token_ttl(ttl).start();
    with_auth(&server).await;
    let app = login(&server, "app", "app-1").connect().await.unwrap();
    many_calls(&app).await;

    // Where the calls take longer than a token lives, there may be more.
    let mut rounds = 0..20;
    loop {
        rounds.next().expect("the calls take less time than a token lives");
        tokens_expire(&server, ttl).await;
        let logins = server.metric(LOGINS).unwrap();
        let begun = Instant::now();
        many_calls(&app).await;
        let tried = server.metric(LOGINS).unwrap() - logins;
        if begun.elapsed() < ttl {
            assert_eq!(tried, 1.0);
            break;
        }
    }

    // Simple tokens live in the server's memory, but one that replays its log may have them again for a while.
    let mut rounds = 0..20;
    loop {
        rounds.next().expect("the calls take less time than a token lives");
        server.restart();
        let begun = Instant::now();
        many_calls(&app).await;
        let tried = server.metric(LOGINS).unwrap();
        if begun.elapsed() < ttl {
            assert!(tried <= 1.0, "{tried} logins");
            break;
        }
    }
}

pub(crate) async fn authentication_may_be_switched_on_and_off_while_a_client_runs(world: World) {
    let server = world.own_server();
    let app = login(&server, "app", "app-1").connect().await.unwrap();
    many_calls(&app).await;
    with_auth(&server).await;
    let root = login(&server, "root", "root-1").build().unwrap();
    for _ in 0..2 {
        many_calls(&app).await;
        let error = app.put("other", "v").await.unwrap_err();
        assert_eq!(error.etcd(), Some(EtcdError::PermissionDenied));
        root.auth().disable().await.unwrap();
        many_calls(&app).await;
        app.put("other", "v").await.unwrap();
        root.auth().enable().await.unwrap();
    }
}

pub(crate) async fn a_changed_password_ends_the_tokens_of_the_old_one(world: World) {
    let server = world.own_server();
    with_auth(&server).await;
    let app = login(&server, "app", "app-1").connect().await.unwrap();
    let token = app.auth().authenticate("app", "app-1").await.unwrap().token;
    let by_hand = World::builder()
        .endpoint(server.client_url())
        .token(token)
        .connect()
        .await
        .unwrap();
    many_calls(&app).await;
    many_calls(&by_hand).await;

    let root = login(&server, "root", "root-1").build().unwrap();
    root.auth().user_change_password("app", "app-2").await.unwrap();
    let error = app.get("app/k").await.unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::AuthFailed));
    let error = by_hand.get("app/k").await.unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::InvalidAuthToken));
    let app = login(&server, "app", "app-2").connect().await.unwrap();
    many_calls(&app).await;
}

/// Switches authentication on, with the users `root` and `app`, whose passwords are `root-1` and `app-1`; `app` may
/// read and write below `app/`.
pub(crate) async fn with_auth(server: &Server) {
    let client = World::client_of(server);
    let auth = client.auth();
    auth.user_add("root", "root-1").await.unwrap();
    auth.role_add("root").await.unwrap();
    auth.user_grant_role("root", "root").await.unwrap();
    auth.user_add("app", "app-1").await.unwrap();
    auth.role_add("app").await.unwrap();
    auth.role_grant_permission("app", Permission::read_write(prefix("app/")))
        .await
        .unwrap();
    auth.user_grant_role("app", "app").await.unwrap();
    auth.enable().await.unwrap();
}

/// Waits until every token has expired that nobody uses meanwhile.
pub(crate) async fn tokens_expire(server: &Server, ttl: Duration) {
    // One that is younger than those, so that it ends after them. Each use prolongs it.
    let anonymous = World::client_of(server);
    let token = anonymous.auth().authenticate("app", "app-1").await.unwrap().token;
    let by_hand = World::builder()
        .endpoint(server.client_url())
        .token(token)
        .build()
        .unwrap();
    let idle = std::cell::Cell::new(2 * ttl);
    eventually("the token expires", || async {
        pause(idle.replace(2 * idle.get())).await;
        let error = by_hand.get("app/k").await.err()?;
        assert_eq!(error.etcd(), Some(EtcdError::InvalidAuthToken));
        assert!(error.is_auth_stale());
        Some(())
    })
    .await;
}

fn login(server: &Server, name: &str, password: &str) -> anyetcd::ClientBuilder {
    World::builder()
        .endpoint(server.client_url())
        .credentials(name, password)
}

/// Reads and writes at the same time.
async fn many_calls(client: &Client) {
    let calls = (0..10).map(|n| async move {
        client.put(format!("app/{n}"), "v").await.unwrap();
        client.get(prefix("app/")).await.unwrap();
    });
    join_all(calls).await;
}

//! What is tried against logins and access tokens, each with its answer.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use onhook::{
    app::people::{
        Visitor,
        log_in::{Credentials, log_in},
    },
    db,
    domain::{ErrorCode, password::Password, throttle},
};
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{PASSWORD, bearing, bytes, logged_in, login, mailed, nobody, post, registered, text};
use crate::support::{app::TestApp, client::Reply};

/// The keys that sign access tokens, as a thief of database and key ring would have them.
async fn keys(app: &TestApp) -> Vec<Key> {
    let rows = db::access_token_keys::list(&app.app.db)
        .await
        .expect("keys");
    let open = |row: &db::access_token_keys::KeyRow| {
        let context = format!("access_token_keys/{}", row.id);
        let seed = app.app.keys.open(&row.seed, &context).expect("a seed");
        Ed25519KeyPair::from_seed_unchecked(&seed).expect("a key")
    };
    rows.iter()
        .map(|row| (row.id.to_string(), open(row), row.public.clone()))
        .collect()
}

fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let [header, claims] = [header, claims].map(|part| BASE64.encode(part.to_string()));
    let message = format!("{header}.{claims}");
    let signature = BASE64.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn by(key: &Ed25519KeyPair) -> impl Fn(&[u8]) -> Vec<u8> {
    move |message| key.sign(message).as_ref().to_vec()
}

fn claims_of(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("claims");
    serde_json::from_slice(&BASE64.decode(part).expect("base64")).expect("JSON")
}

type Key = (String, Ed25519KeyPair, Vec<u8>);

fn header(alg: &str, kid: &str) -> Value {
    json!({"alg": alg, "typ": "JWT", "kid": kid})
}

/// Tokens that say what `claims` say and were not signed as they should be, or say something else.
fn forgeries(claims: &Value, first: &Key, other: &Key) -> Vec<(&'static str, String)> {
    let by_public_key = |message: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&first.2).expect("a key");
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    };
    let with = |member: &str, value: Value| {
        let mut claims = claims.clone();
        claims[member] = value;
        token(&header("EdDSA", &first.0), &claims, by(&first.1))
    };
    let unsigned = |alg: &str| token(&header(alg, &first.0), claims, |_| Vec::new());
    let nobodys = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("a key");
    vec![
        ("none", unsigned("none")),
        ("None", unsigned("None")),
        ("no signature", unsigned("EdDSA")),
        (
            "HS256 by the public key",
            token(&header("HS256", &first.0), claims, by_public_key),
        ),
        (
            "RS256",
            token(&header("RS256", &first.0), claims, by(&first.1)),
        ),
        (
            "the id of another key",
            token(&header("EdDSA", &other.0), claims, by(&first.1)),
        ),
        (
            "a key of nobody's",
            token(&header("EdDSA", &first.0), claims, by(&nobodys)),
        ),
        (
            "an unknown key id",
            token(
                &header("EdDSA", "0f0e0d0c-0b0a-4908-8706-050403020100"),
                claims,
                by(&first.1),
            ),
        ),
        (
            "a key id that is none",
            token(&header("EdDSA", "../../etc/passwd"), claims, by(&first.1)),
        ),
        (
            "no key id",
            token(&json!({"alg": "EdDSA"}), claims, by(&first.1)),
        ),
        (
            "its own key",
            token(
                &json!({"alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(&first.2)}}),
                claims,
                by(&nobodys),
            ),
        ),
        ("expired", with("exp", claims["iat"].clone())),
        ("another audience", with("aud", json!("somebody-else"))),
        ("another issuer", with("iss", json!("https://evil.example"))),
        (
            "another person's session",
            with("sub", json!("0f0e0d0c-0b0a-4908-8706-050403020100")),
        ),
        (
            "no session",
            with("sid", json!("0f0e0d0c-0b0a-4908-8706-050403020100")),
        ),
        ("a refresh token", format!("ohr_{}", "x".repeat(49))),
        ("nothing", "x.y.z".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_forged_token_is_let_in_and_all_are_refused_alike() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    let good = logged_in(&app, "person@example.com").await;
    let good = text(&good, "access_token");
    onhook::app::people::rotate_key(&app.app)
        .await
        .expect("a second key");
    let keys = keys(&app).await;
    let (other, first) = (&keys[0], &keys[1]);
    let claims = claims_of(good);
    assert_eq!(
        (&claims["iss"], &claims["aud"]),
        (&json!("onhook"), &json!("onhook-api"))
    );
    let attempts = forgeries(&claims, first, other);
    let refused = bytes(&nobody(&app).get("/api/v1/calls").await);
    assert_eq!(refused.0, 401);
    for (what, token) in &attempts {
        let client = bearing(&app, token);
        for path in ["/api/v1/calls", "/api/v1/members"] {
            let reply = client.get(path).await;
            assert_eq!(reply.status, 401, "{what}: {}", reply.text);
        }
        assert_eq!(bytes(&client.get("/api/v1/calls").await), refused, "{what}");
        assert_eq!(client.get("/api/v1/sessions").await.status, 401, "{what}");
    }
    // The very claims, signed as they should be, are good; so is what the second key signs.
    for key in [first, other] {
        let token = token(&header("EdDSA", &key.0), &claims, by(&key.1));
        assert_eq!(bearing(&app, &token).get("/api/v1/calls").await.status, 200);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_of_a_megabyte_costs_nothing() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    let huge = "x".repeat(1 << 20);
    for (path, body) in [
        (
            "login",
            json!({"email": "person@example.com", "password": huge}),
        ),
        (
            "password/reset",
            json!({"token": "ohl_x", "password": huge}),
        ),
        (
            "register",
            json!({"email": "other@example.com", "password": huge, "name": "E", "organization_name": "E"}),
        ),
    ] {
        let reply = post(&app, &format!("/api/v1/auth/{path}"), body).await;
        assert_eq!(
            (reply.status, &reply.json()["code"]),
            (413, &json!("PAYLOAD_TOO_LARGE")),
            "{path}"
        );
    }
    // What fits into a request and is longer than any password is wrong without being hashed.
    let long = "x".repeat(10_000);
    let reply = login(&app, "person@example.com", &long).await;
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (401, &json!("LOGIN_FAILED"))
    );
    let body = json!({"email": "other@example.com", "password": long, "name": "E", "organization_name": "E"});
    assert_eq!(post(&app, "/api/v1/auth/register", body).await.status, 422);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_slowed_down_and_the_right_password_ends_it() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    registered(&app, "bob@example.com").await;
    let guess = || login(&app, "person@example.com", "wrong horse battery");
    for _ in 0..10 {
        assert_eq!(guess().await.status, 401);
    }
    let slowed: Reply = guess().await;
    assert_eq!(
        (slowed.status, slowed.header("retry-after")),
        (429, Some("60"))
    );
    assert_eq!(slowed.json()["code"], "RATE_LIMITED");
    // The right one too, or guessing would go on; other accounts are not kept waiting.
    assert_eq!(
        login(&app, "person@example.com", PASSWORD).await.status,
        429
    );
    logged_in(&app, "bob@example.com").await;
    app.advance(60);
    logged_in(&app, "PERSON@example.com").await;
    for _ in 0..10 {
        assert_eq!(guess().await.status, 401);
    }
    assert_eq!(guess().await.status, 429);
    app.stop().await;
}

/// Tries to log in from an address, past the listener.
async fn try_from(app: &TestApp, address: [u8; 4], password: &str) -> Result<(), ErrorCode> {
    let visitor = Visitor {
        address: Some(address.into()),
        request_id: "req_test".to_owned(),
    };
    let shown = Credentials {
        email: "person@example.com".parse().expect("an address"),
        password: Password::shown(password.to_owned()),
        organization_id: None,
    };
    let tokens = log_in(&app.app, &visitor, &shown).await;
    tokens.map(drop).map_err(|error| error.code)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_does_not_use_up_what_may_be_tried_from_everywhere() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    let (theirs, hers) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    for at in 0..120 {
        let refused = if at < 10 {
            ErrorCode::LoginFailed
        } else {
            ErrorCode::RateLimited
        };
        let tried = try_from(&app, theirs, "wrong horse battery").await;
        assert_eq!(tried, Err(refused), "{at}");
    }
    assert_eq!(try_from(&app, hers, PASSWORD).await, Ok(()));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sets_a_password_by_mail_waits_for_nobodys_guesses() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    let account = ["person@example.com"];
    let count = [(
        app.app.pepper.digest_count("login of", &account),
        throttle::LOGINS_OF_ACCOUNT,
    )];
    // Many addresses guess.
    let now = app.app.ambient.now();
    while db::throttles::try_once(&app.app.db, &count, now)
        .await
        .expect("a count")
        .is_none()
    {}
    assert_eq!(
        login(&app, "person@example.com", PASSWORD).await.status,
        429
    );
    let forgot = json!({"email": "person@example.com"});
    post(&app, "/api/v1/auth/password/forgot", forgot).await;
    let token = mailed(&app, "person@example.com", "reset-password").await;
    let body = json!({"token": token, "password": PASSWORD});
    let reset = post(&app, "/api/v1/auth/password/reset", body).await;
    assert_eq!(reset.status, 204, "{}", reset.text);
    logged_in(&app, "person@example.com").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_of_older_parameters_is_made_anew_at_login() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    let weak = argon2::Params::new(8, 1, 1, None).expect("parameters");
    let weak = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, weak);
    let hash = argon2::PasswordHasher::<argon2::PasswordHash>::hash_password_with_salt(
        &weak,
        PASSWORD.as_bytes(),
        &[7; 16],
    );
    let mut owner = app.database.as_owner().await;
    let set = "UPDATE people SET password_hash = $1 RETURNING email";
    let _of: String = sqlx::query_scalar(set)
        .bind(hash.expect("a hash").to_string())
        .fetch_one(&mut owner)
        .await
        .expect("an update");
    let read = "SELECT password_hash FROM people";
    for _ in 0..2 {
        logged_in(&app, "person@example.com").await;
        let now: String = sqlx::query_scalar(read)
            .fetch_one(&mut owner)
            .await
            .expect("a hash");
        assert!(now.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{now}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_the_database_logs_nobody_in() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    let tokens = logged_in(&app, "person@example.com").await;
    post(
        &app,
        "/api/v1/auth/password/forgot",
        json!({"email": "person@example.com"}),
    )
    .await;
    let mut owner = app.database.as_owner().await;
    let dump: Vec<String> = sqlx::query_scalar(
        "SELECT t::text FROM people t UNION ALL SELECT t::text FROM sessions t
        UNION ALL SELECT t::text FROM refresh_tokens t UNION ALL SELECT t::text FROM mail_links t
        UNION ALL SELECT t::text || encode(mail_sealed, 'escape') FROM mails t
        UNION ALL SELECT t::text FROM access_token_keys t UNION ALL SELECT t::text FROM throttles t",
    )
    .fetch_all(&mut owner)
    .await
    .expect("rows");
    assert!(dump.len() >= 8, "{dump:?}");
    let dump = dump.join("\n");
    for secret in [
        PASSWORD,
        text(&tokens, "refresh_token"),
        text(&tokens, "access_token"),
        "ohl_",
        "ohr_",
        "account#",
    ] {
        assert!(!dump.contains(secret), "{secret}");
    }
    // Nor does it sign: the seed is sealed, and opens for its own row alone.
    let rows = db::access_token_keys::list(&app.app.db)
        .await
        .expect("keys");
    let (row, other) = (
        &rows[0],
        "access_token_keys/0f0e0d0c-0b0a-4908-8706-050403020100",
    );
    assert!(app.app.keys.open(&row.seed, other).is_err());
    app.stop().await;
}

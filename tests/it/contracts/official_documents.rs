//! The adapters' questions and the simulator's answers against the providers' own `OpenAPI`
//! documents, with Prism as the judge between them.
//!
//! Where a document, Node.js or Prism is missing, a test says that it was skipped ([`tools`]).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use onhook::domain::{
    agent::Answer,
    provider::{InstructOutcome, ProviderKind},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    judge::Judge,
    rig::{Adapters, Rig},
    tools::{self, Missing},
};
use crate::support::{client::TestClient, wait::wait_for};

/// A test for each line: the provider, its document, and the path of the document's servers. Where
/// a document as published cannot be judged by, it is the overlay beside it (`.prism.`), which adds
/// what the provider documents elsewhere: encodings, errors.
macro_rules! official_documents {
    ($($name:ident: $provider:ident, $document:literal, $base_path:literal;)+) => {
        $(mod $name {
            use onhook::domain::provider::ProviderKind;

            #[tokio::test(flavor = "multi_thread")]
            async fn questions_and_answers_keep_to_the_official_document() {
                super::judge(ProviderKind::$provider, $document, $base_path).await;
            }
        })+
    };
}

official_documents! {
    twilio: Twilio, "twilio/twilio_api_v2010.calls.prism.json", "";
    telnyx: Telnyx, "telnyx/telnyx_v2.calls.yml", "/v2";
    vonage: Vonage, "vonage/voice.prism.yml", "";
    jambonz: Sip, "jambonz/jambonz.calls.prism.yaml", "/v1";
    openai: Openai, "openai/openai.realtime.json", "/v1";
}

/// More than any provider gives on a page that an adapter asks for, where it goes by pages.
const MORE_THAN_A_PAGE: usize = 251;

const REFUSALS: [u16; 9] = [400, 401, 403, 404, 422, 429, 500, 502, 503];

async fn judge(provider: ProviderKind, document: &str, base_path: &str) {
    let (mut rig, judge) = match between(provider, document, base_path).await {
        Ok(both) => both,
        Err(missing) => {
            let what = format!("{} against its official document", provider.as_str());
            return missing.skips(&what);
        }
    };
    let asked = ask_everything(&mut rig, &judge).await;

    let record = judge.so_far();
    assert!(
        record.violations.is_empty(),
        "{}",
        record.violations.join("\n")
    );
    // Nothing went by it.
    let judged = &record.judged;
    assert!(judged.len() >= asked, "{asked} questions, {judged:#?}");
    a_wrong_question_and_a_wrong_answer_are_found(&rig, &judge).await;
    rig.stop();
    // Its log agrees: nothing but these three, of which the answer was the last.
    let errors = || async { judge.logged_errors() };
    let written = |errors: &Vec<String>| errors.iter().any(|line| line.contains("#VIOLATIONS"));
    let errors = wait_for("Prism's log", errors, written).await;
    assert_eq!(errors.len(), 3, "{}", errors.join("\n"));
    judge.stop().await;
}

/// How many questions there were, at least.
async fn ask_everything(rig: &mut Rig, judge: &Judge) -> usize {
    if !rig.provider.places_calls() {
        return calls_that_come_in(rig).await + hang_ups(rig).await + refused_hang_ups(rig).await;
    }
    let mut asked = dials(rig).await;
    asked += calls_that_come_in(rig).await;
    asked += hang_ups(rig).await;
    asked += refused_hang_ups(rig).await;
    asked += hang_ups_before_the_answer(rig).await;
    asked += reads(rig).await;
    asked += refusals(rig).await;
    asked += commands(rig).await;
    asked + look_ups(rig, judge).await
}

async fn between(
    provider: ProviderKind,
    document: &str,
    base_path: &str,
) -> Result<(Rig, Judge), Missing> {
    let document = tools::document(document)?;
    let prism = tools::prism().await?;
    let document = judgeable(provider, document);
    let mut rig = Rig::start(Arc::new(Adapters::new()), provider).await;
    let judge = Judge::start(&prism, &document, base_path, &rig.api).await;
    rig.through(&judge.api);
    Ok((rig, judge))
}

/// What Prism cannot read (nullable, with no type beside it) makes it look at no member of a session,
/// this one being a member that ours never have.
const UNREADABLE: &str =
    "/components/schemas/RealtimeSessionCreateRequestGA/properties/tracing/nullable";

/// The document, or a copy that Prism can judge by where it is published as one by which it cannot.
fn judgeable(provider: ProviderKind, document: PathBuf) -> PathBuf {
    if provider != ProviderKind::Openai {
        return document;
    }
    let text = std::fs::read_to_string(&document).expect("a document");
    let mut read: Value = serde_json::from_str(&text).expect("JSON");
    let (parent, member) = UNREADABLE.rsplit_once('/').expect("a pointer");
    let parent = read.pointer_mut(parent).and_then(Value::as_object_mut);
    parent.expect("the member's parent").remove(member);
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openai.realtime.json");
    std::fs::write(&copy, read.to_string()).expect("a copy");
    copy
}

// Each returns how many questions it asked.

async fn dials(rig: &mut Rig) -> usize {
    rig.place().await;
    rig.answer = Answer::Stream {
        url: "wss://media.example/calls".to_owned(),
    };
    rig.place().await;
    rig.answer = Answer::default();
    2
}

/// One that is told what to do and hung up, one that is turned away, one that is hung up while it
/// rings. Where our answer to the provider's question takes them, nothing asks the API to.
async fn calls_that_come_in(rig: &mut Rig) -> usize {
    let call = rig.call_in().await;
    take(rig, &call).await;
    let mut asked = by_id(rig, &call).await;
    if !rig.provider.places_calls() {
        rig.have(&json!({"model": "gpt-realtime-mini", "voice": "marin"}));
        let call = rig.call_in().await;
        take(rig, &call).await;
        asked += by_id(rig, &call).await;
    }
    asked += turned_away(rig).await;
    let call = rig.call_in().await;
    asked + by_id(rig, &call).await
}

async fn turned_away(rig: &Rig) -> usize {
    let call = rig.call_in().await;
    let turned_away = rig.turn_away(&call).await;
    assert!(matches!(turned_away, None | Some(InstructOutcome::Done)));
    // Too late for either.
    rig.turn_away(&call).await;
    rig.take(&call).await;
    by_id(rig, &call).await
}

async fn take(rig: &Rig, call: &str) {
    let done = |outcome| matches!(outcome, None | Some(InstructOutcome::Done));
    assert!(done(rig.take(call).await));
    assert!(done(rig.instruct(call).await));
}

/// Reads the call where it can be read, and hangs it up.
async fn by_id(rig: &Rig, call: &str) -> usize {
    rig.fetch(call).await;
    rig.hang_up(call).await;
    1
}

/// Of an answered call, of one that is over, and of none.
async fn hang_ups(rig: &Rig) -> usize {
    for over_answer in ["error", "record", "not-found"] {
        let script = json!({"over_answer": over_answer, "hangup_answer": "completed"});
        rig.script(&script).await;
        let call = rig.place_answered().await;
        rig.hang_up(&call).await;
        let over = |seen: &Value| !seen["ended_at"].is_null();
        wait_for("the call's end", || rig.at_provider(&call), over).await;
        rig.hang_up(&call).await;
    }
    rig.script(&json!({"hangup_answer": "in-progress"})).await;
    let call = rig.place_answered().await;
    rig.hang_up(&call).await;
    rig.hang_up(rig.face.unknown_call).await;
    3 * 3 + 2 + 1
}

async fn hang_ups_before_the_answer(rig: &Rig) -> usize {
    for call in [rig.place().await, ringing(rig).await] {
        rig.hang_up(&call).await;
    }
    2 * 2
}

/// With what each may be refused with, in the provider's usual words.
async fn refused_hang_ups(rig: &Rig) -> usize {
    let call = rig.place_answered().await;
    for status in REFUSALS {
        let fault = json!({"respond": {"status": status, "headers": {"Retry-After": "7"}}});
        rig.fault("hangup", &fault).await;
        let answer = rig.hang_up(&call).await.answer;
        assert_eq!(answer.status, Some(status), "{answer:?}");
    }
    1 + REFUSALS.len()
}

async fn ringing(rig: &Rig) -> String {
    rig.script(&json!({"ring_after_ms": 0})).await;
    let call = rig.place().await;
    rig.script(&json!({"ring_after_ms": null})).await;
    let rings = |seen: &Value| seen["state"] == "ringing";
    wait_for("ringing", || rig.at_provider(&call), rings).await;
    call
}

/// Of a call in each state, and of none.
async fn reads(rig: &Rig) -> usize {
    let mut asked = 2;
    let call = ringing(rig).await;
    rig.fetch(&call).await;
    for acts in [
        &[][..],
        &["answer"],
        &["answer", "hangup"],
        &["busy"],
        &["no-answer"],
        &["fail"],
    ] {
        let call = rig.place().await;
        for act in acts {
            rig.party(&call, act).await;
        }
        let answered = rig.fetch(&call).await;
        assert_eq!(answered.answer.status, Some(200), "{answered:?}");
        asked += 2;
    }
    rig.fetch(rig.face.unknown_call).await;
    asked + 1
}

/// The same of the other questions.
async fn refusals(rig: &Rig) -> usize {
    let call = rig.place().await;
    let mut asked = 1;
    for status in REFUSALS {
        let fault = json!({"respond": {"status": status, "headers": {"Retry-After": "7"}}});
        for operation in ["create", "fetch", "list"] {
            rig.fault(operation, &fault).await;
        }
        let since = rig.now();
        let (call_id, dialled) = rig.dial().await;
        let answers = [
            dialled.answer,
            rig.fetch(&call).await.answer,
            rig.find(call_id, since).await.answer,
        ];
        for answer in answers {
            assert_eq!(answer.status, Some(status), "{answer:?}");
        }
        asked += 3;
    }
    asked
}

/// Of an answered call, where it is told what to do by requests.
async fn commands(rig: &mut Rig) -> usize {
    let mut asked = 0;
    let stream = Answer::Stream {
        url: "wss://media.example/calls".to_owned(),
    };
    for answer in [Answer::default(), stream] {
        rig.answer = answer;
        let call = rig.place_answered().await;
        asked += 1;
        if let Some(outcome) = rig.instruct(&call).await {
            assert_eq!(outcome, InstructOutcome::Done);
            asked += 1;
        }
    }
    rig.answer = Answer::default();
    asked
}

/// Of one that is there, and of one that is on no page.
async fn look_ups(rig: &mut Rig, judge: &Judge) -> usize {
    let since = rig.now();
    let (call_id, _) = rig.dial().await;
    rig.find(call_id, since).await;
    let api = rig.api.clone();
    rig.through(&api);
    for _ in 0..MORE_THAN_A_PAGE {
        rig.place().await;
    }
    rig.through(&judge.api);
    let found = rig.find(rig.new_call_id(), rig.now()).await;
    assert_eq!(found.answer.status, Some(200), "{found:?}");
    3 + rig.list_live().await
}

async fn a_wrong_question_and_a_wrong_answer_are_found(rig: &Rig, judge: &Judge) {
    judge.ask_for_nonsense().await;
    assert_eq!(judge.so_far().violations.len(), 1);
    let elsewhere = TestClient::new(&judge.api, None);
    elsewhere.send(Method::PATCH, "/nowhere", &[], "").await;
    assert_eq!(judge.so_far().violations.len(), 2);
    let call = rig.place_answered().await;
    if rig.provider.places_calls() {
        let page = json!({"respond": {"status": 200, "body": "<html></html>"}});
        rig.fault("fetch", &page).await;
        rig.fetch(&call).await;
    } else {
        // No answer of theirs has a body; but there is only one success.
        let other = json!({"respond": {"status": 202}});
        rig.fault("hangup", &other).await;
        rig.hang_up(&call).await;
    }
    assert_eq!(judge.so_far().violations.len(), 3);
}

//! The adapters' questions and the simulator's answers against the providers' own `OpenAPI`
//! documents, with Prism as the judge between them.
//!
//! Where a document, Node.js or Prism is missing, a test says that it was skipped ([`tools`]).

use std::sync::Arc;

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
}

/// More than any provider gives on a page that an adapter asks for, where it goes by pages.
const MORE_THAN_A_PAGE: usize = 251;

async fn judge(provider: ProviderKind, document: &str, base_path: &str) {
    let (mut rig, judge) = match between(provider, document, base_path).await {
        Ok(both) => both,
        Err(missing) => {
            let what = format!("{} against its official document", provider.as_str());
            return missing.skips(&what);
        }
    };
    let mut asked = dials(&mut rig).await;
    asked += hang_ups(&rig).await;
    asked += reads(&rig).await;
    asked += refusals(&rig).await;
    asked += commands(&mut rig).await;
    asked += look_ups(&mut rig, &judge).await;

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

async fn between(
    provider: ProviderKind,
    document: &str,
    base_path: &str,
) -> Result<(Rig, Judge), Missing> {
    let document = tools::document(document)?;
    let prism = tools::prism().await?;
    let mut rig = Rig::start(Arc::new(Adapters::new()), provider).await;
    let judge = Judge::start(&prism, &document, base_path, &rig.api).await;
    rig.through(&judge.api);
    Ok((rig, judge))
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

/// Of a call in each state, and of none.
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
    for call in [
        rig.place().await,
        rig.place_answered().await,
        ringing(rig).await,
    ] {
        rig.hang_up(&call).await;
    }
    rig.hang_up(rig.face.unknown_call).await;
    3 * 3 + 3 * 2 + 1
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

/// What each question can be refused with, in the provider's usual words.
async fn refusals(rig: &Rig) -> usize {
    let call = rig.place().await;
    let mut asked = 1;
    for status in [400, 401, 403, 404, 422, 429, 500, 502, 503] {
        let fault = json!({"respond": {"status": status, "headers": {"Retry-After": "7"}}});
        for operation in ["create", "hangup", "fetch", "list"] {
            rig.fault(operation, &fault).await;
        }
        let since = rig.now();
        let (call_id, dialled) = rig.dial().await;
        let answers = [
            dialled.answer,
            rig.hang_up(&call).await.answer,
            rig.fetch(&call).await.answer,
            rig.find(call_id, since).await.answer,
        ];
        for answer in answers {
            assert_eq!(answer.status, Some(status), "{answer:?}");
        }
        asked += 4;
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
    let call = rig.place().await;
    let page = json!({"respond": {"status": 200, "body": "<html></html>"}});
    rig.fault("fetch", &page).await;
    rig.fetch(&call).await;
    assert_eq!(judge.so_far().violations.len(), 3);
}

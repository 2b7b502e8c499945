//! `POST /api/v1/auth/register`: an account, with an organisation of its own or by an invitation.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use crate::{
    app::people::{
        password::chosen,
        register::{self, NewPerson, With},
    },
    domain::{Result, secret_text::SecretKind},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, Members, wrong},
        v1::{
            finish,
            people::{MailSent, email, read, secret},
            style::in_own_task,
        },
    },
};

/// Somebody who registers.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct Register {
    /// ASCII, at most 254 characters.
    #[schema(example = "person@example.com")]
    email: String,
    /// 12 characters at least, 256 bytes at most; anything else goes.
    #[schema(format = Password)]
    password: String,
    #[schema(example = "Example Person")]
    name: String,
    /// Of the organisation that is founded, with you as its owner.
    #[schema(example = "Example Ltd")]
    organization_name: Option<String>,
    /// Instead: what the mail of an invitation carried.
    invitation: Option<String>,
}

impl Members for Register {
    const MEMBERS: &'static [&'static str] = &[
        "email",
        "password",
        "name",
        "organization_name",
        "invitation",
    ];
}

/// Register
///
/// The answer is the same whether the address has an account or not: its owner is told by mail.
/// With an `invitation`, which came by mail, the address is confirmed already and the answer is 201.
#[utoipa::path(
    post, path = "/api/v1/auth/register", tag = "People", operation_id = "register",
    request_body(content = Register, example = json!({"email": "person@example.com", "password": "correct horse battery", "name": "Example Person", "organization_name": "Example Ltd"})),
    responses(
        (status = 202, description = "A mail tells how to go on", body = MailSent),
        (status = 201, description = "Registered by an invitation", body = MailSent),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`INVITATION_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`ACCOUNT_EXISTS`, with an invitation", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`RATE_LIMITED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`MAIL_NOT_CONFIGURED`, `OVERLOADED`, `DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn register(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let request: Register = read(incoming).await?;
    let new = request.checked()?;
    let invited = matches!(new.with, With::Invitation(_));
    let (app, visitor) = (state.app.clone(), incoming.visitor());
    in_own_task(state, "register a person", async move {
        register::register(&app, &visitor, new).await?;
        Ok(if invited {
            Answer::json(StatusCode::CREATED, &MailSent::not_needed())
        } else {
            Answer::json(StatusCode::ACCEPTED, &MailSent::perhaps())
        })
    })
    .await
}

impl Register {
    fn checked(self) -> Result<NewPerson> {
        let email = email("/email", &self.email)?;
        register::check_name("/name", &self.name)?;
        let with = match (self.organization_name, self.invitation) {
            (Some(name), None) => {
                register::check_name("/organization_name", &name)?;
                With::Organization(name)
            }
            (None, Some(token)) => {
                let token = secret("/invitation", SecretKind::Link, &token)?;
                With::Invitation(token)
            }
            (None, None) => {
                return Err(wrong(
                    "/organization_name",
                    "required",
                    "name it, or send an invitation",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(wrong(
                    "/invitation",
                    "conflict",
                    "leads to its own organisation; leave out organization_name",
                ));
            }
        };
        Ok(NewPerson {
            password: chosen("/password", self.password, Some(&email))?,
            email,
            name: self.name,
            with,
        })
    }
}

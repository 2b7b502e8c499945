//! Registering: one statement decides what comes of it.

use crate::{
    db::{Db, mails::NewMail},
    domain::{
        AgentId, OrgScope, OrganizationId, PersonId, Result, Timestamp, mail, person::EmailAddress,
        role::Role,
    },
};

/// Somebody who registers, with everything that may come of it: which of it does is decided by the
/// statement, so that it takes the same steps whether the address has an account or not.
#[derive(Debug)]
pub struct Registration<'a> {
    pub person_id: PersonId,
    pub email: &'a EmailAddress,
    pub name: &'a str,
    pub password_hash: &'a str,
    pub organization_id: OrganizationId,
    pub organization_name: &'a str,
    pub agent_id: AgentId,
    pub agent_settings: &'a serde_json::Value,
    pub now: Timestamp,
    /// For an address that is new or that nobody has confirmed.
    pub verify_digest: [u8; 32],
    pub verify_mail: NewMail,
    /// For the address of an account.
    pub reset_digest: [u8; 32],
    pub reset_mail: NewMail,
}

/// Registers somebody: a new address gets an account and an unverified organisation that it owns; an
/// address that nobody has confirmed gets the new password and name, and what was done with it
/// before is undone; the owner of a confirmed one is told by mail. The person whose account it is
/// now; `None`: there was one already.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
#[expect(
    clippy::cognitive_complexity,
    reason = "counts what `query!` expands to; there is no branch"
)]
pub async fn register(db: &Db, new: &Registration<'_>) -> Result<Option<PersonId>> {
    let statement = sqlx::query_scalar!(
        r#"/* db::people::register */ WITH person AS (
            INSERT INTO people AS p (id, email, email_key, name, password_hash, created_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (email_key) DO UPDATE
            SET email = excluded.email, name = excluded.name, password_hash = excluded.password_hash
            WHERE p.email_verified_at IS NULL
            RETURNING id, id = $1 AS is_new
        ), organization AS (
            INSERT INTO organizations (organization_id, name, created_at)
            SELECT $7, $8, $6 FROM person WHERE is_new RETURNING organization_id
        ), agent AS (
            INSERT INTO agents (organization_id, id, name, settings, created_at, published_at)
            SELECT organization_id, $9, 'Default agent', $10, $6, $6 FROM organization
        ), member AS (
            INSERT INTO members (organization_id, person_id, role, created_at)
            SELECT organization_id, $1, 'owner', $6 FROM organization
        ), renamed AS (
            UPDATE organizations o SET name = $8 FROM members m JOIN person ON person.id = m.person_id
            WHERE NOT person.is_new AND m.role = 'owner'
                AND o.organization_id = m.organization_id AND o.verified_at IS NULL
        ), ended AS (
            UPDATE sessions s SET ended_at = $6, ended_reason = 'registered_again' FROM person
            WHERE s.person_id = person.id AND NOT person.is_new AND s.ended_at IS NULL
        ), undone AS (
            UPDATE mail_links l SET used_at = $6 FROM person
            WHERE l.person_id = person.id AND NOT person.is_new AND l.used_at IS NULL
        ), known AS (
            SELECT id FROM people WHERE email_key = $3 AND NOT EXISTS (SELECT FROM person)
        ), link AS (
            INSERT INTO mail_links (digest, person_id, purpose, created_at, expires_at)
            SELECT $11::bytea, id, 'verify_email', $6, $12::timestamptz FROM person
            UNION ALL SELECT $13::bytea, id, 'reset_password', $6, $14::timestamptz FROM known
        ), mail AS (
            INSERT INTO mails (id, mail_sealed, mail_key_id, created_at, due_at)
            SELECT $15::uuid, $16::bytea, $17::text, $6, $6 FROM person
            UNION ALL SELECT $18::uuid, $19::bytea, $20::text, $6, $6 FROM known
        )
        SELECT id AS "id: PersonId" FROM person"#,
        new.person_id as PersonId,
        new.email.reveal(),
        new.email.key(),
        new.name,
        new.password_hash,
        new.now as Timestamp,
        new.organization_id as OrganizationId,
        new.organization_name,
        new.agent_id as AgentId,
        new.agent_settings,
        new.verify_digest.as_slice(),
        new.now.plus(mail::VERIFICATION) as Timestamp,
        new.reset_digest.as_slice(),
        new.now.plus(mail::RESET) as Timestamp,
        new.verify_mail.id.0,
        new.verify_mail.sealed.bytes,
        new.verify_mail.sealed.key_id,
        new.reset_mail.id.0,
        new.reset_mail.sealed.bytes,
        new.reset_mail.sealed.key_id
    );
    db.run("register a person", statement.fetch_optional(&db.pool))
        .await
}

/// Somebody who registers by an invitation, which proves the address.
#[derive(Debug)]
pub struct InvitedRegistration<'a> {
    pub invitation_digest: [u8; 32],
    pub person_id: PersonId,
    pub email: &'a EmailAddress,
    pub name: &'a str,
    pub password_hash: &'a str,
    pub now: Timestamp,
}

/// Registers somebody as a member. `None`: there is no such invitation for this address that is
/// open, or the address has an account.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn register_invited(
    db: &Db,
    new: &InvitedRegistration<'_>,
) -> Result<Option<(PersonId, OrganizationId)>> {
    let row = db
        .run(
            "register an invited person",
            sqlx::query!(
                r#"/* db::people::register_invited */ WITH invitation AS (
                    UPDATE invitations SET accepted_at = $6
                    WHERE token_digest = $7 AND email_key = $3 AND accepted_at IS NULL
                        AND revoked_at IS NULL AND expires_at > $6
                        AND NOT EXISTS (
                            SELECT FROM people WHERE email_key = $3 AND email_verified_at IS NOT NULL
                        )
                    RETURNING organization_id, role
                ), person AS (
                    INSERT INTO people AS p (id, email, email_key, name, password_hash, created_at,
                        email_verified_at)
                    SELECT $1, $2, $3, $4, $5, $6::timestamptz, $6 FROM invitation
                    ON CONFLICT (email_key) DO UPDATE
                    SET email = excluded.email, name = excluded.name,
                        password_hash = excluded.password_hash, email_verified_at = excluded.email_verified_at
                    WHERE p.email_verified_at IS NULL
                    RETURNING id
                ), ended AS (
                    UPDATE sessions s SET ended_at = $6, ended_reason = 'registered_again' FROM person
                    WHERE s.person_id = person.id AND s.ended_at IS NULL
                ), undone AS (
                    UPDATE mail_links l SET used_at = $6 FROM person
                    WHERE l.person_id = person.id AND l.used_at IS NULL
                )
                INSERT INTO members AS m (organization_id, person_id, role, created_at)
                SELECT i.organization_id, p.id, i.role, $6 FROM invitation i CROSS JOIN person p
                ON CONFLICT (organization_id, person_id) DO UPDATE SET role = m.role
                RETURNING person_id, organization_id"#,
                new.person_id as PersonId,
                new.email.reveal(),
                new.email.key(),
                new.name,
                new.password_hash,
                new.now as Timestamp,
                new.invitation_digest.as_slice()
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(|row| (row.person_id, row.organization_id)))
}

/// Somebody whom the operator makes a member.
#[derive(Debug)]
pub struct NewMember<'a> {
    pub person_id: PersonId,
    pub email: &'a EmailAddress,
    pub name: &'a str,
    pub password_hash: &'a str,
    pub role: Role,
    pub now: Timestamp,
}

/// Makes a member of an account with this address, which counts as confirmed and is made where there
/// is none. One that nobody has confirmed may be anybody's: it gets the new password and name, and
/// what was done with it before is undone. Whose it is.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn create_member(db: &Db, scope: OrgScope, new: &NewMember<'_>) -> Result<PersonId> {
    db.run(
        "make somebody a member",
        sqlx::query_scalar!(
            r#"/* db::people::create_member */ WITH person AS (
                INSERT INTO people AS p (id, email, email_key, name, password_hash, created_at,
                    email_verified_at)
                VALUES ($1, $2, $3, $4, $5, $6, $6)
                ON CONFLICT (email_key) DO UPDATE SET
                    email = CASE WHEN p.email_verified_at IS NULL THEN excluded.email ELSE p.email END,
                    name = CASE WHEN p.email_verified_at IS NULL THEN excluded.name ELSE p.name END,
                    password_hash = CASE WHEN p.email_verified_at IS NULL
                        THEN excluded.password_hash ELSE p.password_hash END,
                    email_verified_at = coalesce(p.email_verified_at, excluded.email_verified_at)
                -- A hash has its own salt: it is the new one, or an older one.
                RETURNING id, password_hash = $5 AS is_new
            ), ended AS (
                UPDATE sessions s SET ended_at = $6, ended_reason = 'registered_again' FROM person
                WHERE s.person_id = person.id AND person.is_new AND s.ended_at IS NULL
            ), undone AS (
                UPDATE mail_links l SET used_at = $6 FROM person
                WHERE l.person_id = person.id AND person.is_new AND l.used_at IS NULL
            )
            INSERT INTO members (organization_id, person_id, role, created_at)
            SELECT $7, id, $8, $6 FROM person
            ON CONFLICT (organization_id, person_id) DO UPDATE SET role = excluded.role
            RETURNING person_id"#,
            new.person_id as PersonId,
            new.email.reveal(),
            new.email.key(),
            new.name,
            new.password_hash,
            new.now as Timestamp,
            scope.id() as OrganizationId,
            new.role.as_str()
        )
        .fetch_one(&db.pool),
    )
    .await
}

-- People, who belong to any number of organisations: their sessions, what mails prove, the keys of
-- their access tokens, and the queue of their mails. Nothing here is a tenant's; 0015 joins people to
-- organisations.

CREATE TABLE people (
    id uuid PRIMARY KEY,
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254 AND email !~ '[[:cntrl:][:space:]]'),
    email_key text NOT NULL UNIQUE CHECK (email_key = lower(email)),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    created_at timestamptz NOT NULL,
    email_verified_at timestamptz
);
COMMENT ON TABLE people IS 'Who can log in. Not a tenant''s: somebody may belong to several organisations.';
COMMENT ON COLUMN people.email_key IS 'The address without case: one account each.';
COMMENT ON COLUMN people.password_hash IS 'argon2id, as a PHC string: salt and parameters are part of it.';
COMMENT ON COLUMN people.email_verified_at IS 'Null: nobody has confirmed the address, and who registers with it again replaces this.';

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES people,
    preferred_organization uuid,
    address text,
    created_at timestamptz NOT NULL,
    refreshed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_reason text CHECK (ended_reason IN ('logout', 'revoked', 'password_changed', 'refresh_token_reused', 'registered_again')),
    CONSTRAINT sessions_end_has_a_reason CHECK ((ended_at IS NULL) = (ended_reason IS NULL))
);
CREATE INDEX sessions_person ON sessions (person_id);
CREATE INDEX sessions_expires ON sessions (expires_at);
COMMENT ON TABLE sessions IS 'Logins. A session is a family of refresh tokens, of which the newest alone is good.';
COMMENT ON COLUMN sessions.preferred_organization IS 'What the access tokens name; whether the person is a member is asked each time.';
COMMENT ON COLUMN sessions.address IS 'Where the login came from, for its owner.';

CREATE TABLE refresh_tokens (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
COMMENT ON TABLE refresh_tokens IS 'Every refresh token of a session, by its digest: one that comes a second time ends the session.';

CREATE TABLE mail_links (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    person_id uuid NOT NULL REFERENCES people,
    purpose text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password')),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX mail_links_person ON mail_links (person_id);
COMMENT ON TABLE mail_links IS 'Secrets that were mailed, by their digest: each is good once.';

CREATE TABLE mails (
    id uuid PRIMARY KEY,
    mail_sealed bytea NOT NULL,
    mail_key_id text NOT NULL,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    lease uuid
);
CREATE INDEX mails_due ON mails (due_at);
COMMENT ON TABLE mails IS 'Mails that are to be sent; a row is gone once its mail was taken by the mail server.';
COMMENT ON COLUMN mails.mail_sealed IS 'Recipient, subject and text as JSON, sealed: the text holds a secret.';
COMMENT ON COLUMN mails.due_at IS 'When the next attempt may start: its schedule, or the end of the lease.';

CREATE TABLE throttles (
    key bytea PRIMARY KEY CHECK (length(key) = 32),
    spent_until timestamptz NOT NULL
);
CREATE INDEX throttles_spent ON throttles (spent_until);
COMMENT ON TABLE throttles IS 'How much was tried lately without an account, by a digest of what is counted.';
COMMENT ON COLUMN throttles.spent_until IS 'The theoretical arrival time of the generic cell rate algorithm.';

CREATE TABLE access_token_keys (
    id uuid PRIMARY KEY,
    public_key bytea NOT NULL CHECK (length(public_key) = 32),
    seed_sealed bytea NOT NULL,
    seed_key_id text NOT NULL,
    created_at timestamptz NOT NULL,
    signs_from timestamptz NOT NULL
);
COMMENT ON TABLE access_token_keys IS 'Ed25519 keys of access tokens: the newest whose time has come signs, all of them verify.';
COMMENT ON COLUMN access_token_keys.signs_from IS 'Later than its creation, so that every node knows the key before a token is signed with it.';

GRANT SELECT, INSERT, UPDATE ON people, mail_links TO onhook_application;
GRANT DELETE ON mail_links TO onhook_application;
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions, mails, throttles TO onhook_application;
GRANT SELECT, INSERT, UPDATE ON refresh_tokens TO onhook_application;
GRANT SELECT, INSERT, DELETE ON access_token_keys TO onhook_application;

-- Counts a try under each key and says how long to wait, in milliseconds: 0 when all let it through.
-- A key lets p_bursts tries through at once, and then one each p_intervals milliseconds. Keys come in
-- one order, so that two tries never wait for each other.
CREATE FUNCTION try_throttled(p_keys bytea[], p_bursts integer[], p_intervals bigint[], p_now timestamptz)
RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    v_try record;
    v_wait bigint := 0;
BEGIN
    FOR v_try IN
        SELECT key, burst, step * interval '1 millisecond' AS step
        FROM unnest(p_keys, p_bursts, p_intervals) AS t(key, burst, step) ORDER BY key
    LOOP
        INSERT INTO throttles AS t (key, spent_until) VALUES (v_try.key, p_now + v_try.step)
        ON CONFLICT (key) DO UPDATE SET spent_until = greatest(t.spent_until, p_now) + v_try.step
        WHERE greatest(t.spent_until, p_now) + v_try.step <= p_now + v_try.burst * v_try.step;
        IF NOT FOUND THEN
            v_wait := greatest(v_wait, (
                SELECT ceil(1000 * extract(epoch FROM spent_until + v_try.step - v_try.burst * v_try.step - p_now))
                FROM throttles WHERE key = v_try.key
            ));
        END IF;
    END LOOP;
    RETURN v_wait;
END
$$;
COMMENT ON FUNCTION try_throttled IS 'Counts a try under each key; the milliseconds to wait, 0 when it may go on.';

-- Who belongs to an organisation, and who is invited to. A member refers to a person, who is no
-- tenant's: the one kind of reference that does not begin with the organisation.

CREATE TABLE members (
    organization_id uuid NOT NULL REFERENCES organizations,
    person_id uuid NOT NULL REFERENCES people,
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin', 'owner')),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, person_id)
);
-- Who logs in names no organisation, and asks which ones there are.
CREATE INDEX members_person ON members (person_id);
COMMENT ON TABLE members IS 'Who belongs to an organisation, and as what.';

CREATE TABLE invitations (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254 AND email !~ '[[:cntrl:][:space:]]'),
    email_key text NOT NULL CHECK (email_key = lower(email)),
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin', 'owner')),
    token_digest bytea NOT NULL CHECK (length(token_digest) = 32),
    invited_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, token_digest)
);
-- Who accepts is not a member yet, so this one look-up has no organisation.
CREATE INDEX invitations_token_digest ON invitations (token_digest);
COMMENT ON TABLE invitations IS 'Offers to join an organisation; each is good once, for its address alone.';
COMMENT ON COLUMN invitations.invited_by IS 'The actor, as the audit log names it.';

GRANT SELECT, INSERT, UPDATE, DELETE ON members TO onhook_application;
GRANT SELECT, INSERT, UPDATE ON invitations TO onhook_application;

//! Access tokens of people: JWTs (RFC 7519) signed with Ed25519 (RFC 8037), and nothing else.
//!
//! `jsonwebtoken` reads and writes the format. It is given a backend that knows `EdDSA` alone, so that
//! no key can be taken for another algorithm's, and `none` is no algorithm at all. The clock is ours,
//! so the expiry is compared by whoever asks ([`AccessClaims::holds_at`]).

use std::fmt;

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error as JwtError, ErrorKind},
};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, VerificationAlgorithm as _};
use serde::{Deserialize, Serialize};
use signature::{Error as SignatureError, Signer, Verifier};
use uuid::Uuid;

use crate::domain::{
    Error, OrganizationId, PersonId, Result, SessionId, Timestamp, session::AccessClaims,
};

/// Every deployment has keys of its own, so these only tell our tokens from other JWTs that
/// somebody might sign with them.
const ISSUER: &str = "onhook";
const AUDIENCE: &str = "onhook-api";

/// Longer than any of ours, so that nothing large is decoded.
const MOST_CHARACTERS: usize = 1024;

/// Ed25519 by ring, and nothing beside it.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory,
    verifier_factory,
    key_utils: KeyUtils::new_unimplemented(),
};

/// A key that signs, made from 32 random bytes.
#[derive(Clone)]
pub struct SigningKey {
    id: Uuid,
    seed: EncodingKey,
    public: [u8; 32],
}

/// A key that verifies.
#[derive(Clone)]
pub struct VerifyingKey(DecodingKey);

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: PersonId,
    sid: SessionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<OrganizationId>,
    iat: i64,
    exp: i64,
}

impl SigningKey {
    /// # Errors
    /// `INTERNAL` when `seed` is not 32 bytes.
    pub fn from_seed(id: Uuid, seed: &[u8]) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| Error::internal("read a key of access tokens", "it is not 32 bytes"))?;
        let public = pair.public_key().as_ref().try_into();
        Ok(Self {
            id,
            seed: EncodingKey::from_ed_der(seed),
            public: public
                .map_err(|_| Error::internal("read a key of access tokens", "no public key"))?,
        })
    }

    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// # Errors
    /// `INTERNAL`.
    pub fn sign(&self, claims: &AccessClaims) -> Result<String> {
        install();
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.id.to_string());
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: claims.person_id,
            sid: claims.session_id,
            org: claims.organization_id,
            iat: claims.issued_at.unix_seconds(),
            exp: claims.expires_at.unix_seconds(),
        };
        jsonwebtoken::encode(&header, &claims, &self.seed)
            .map_err(|error| Error::internal("sign an access token", error))
    }
}

impl VerifyingKey {
    pub fn new(public: [u8; 32]) -> Self {
        Self(DecodingKey::from_ed_der(&public))
    }

    /// What the token says, when this key signed it for us. Whether it is still good is not looked
    /// at.
    pub fn open(&self, token: &str) -> Option<AccessClaims> {
        install();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.0, &validation)
            .ok()?
            .claims;
        let at = |seconds: i64| Timestamp::from_unix_millis(seconds.saturating_mul(1000));
        Some(AccessClaims {
            person_id: claims.sub,
            session_id: claims.sid,
            organization_id: claims.org,
            issued_at: at(claims.iat),
            expires_at: at(claims.exp),
        })
    }
}

/// The id of the key that a token says it is signed with; `None`: it cannot be one of ours.
pub fn key_id(token: &str) -> Option<Uuid> {
    if token.len() > MOST_CHARACTERS {
        return None;
    }
    let header = jsonwebtoken::decode_header(token).ok()?;
    // RFC 7515 section 4.1.11: extensions that must be understood and are not.
    let ours = header.alg == Algorithm::EdDSA && header.crit.is_none();
    ours.then(|| header.kid?.parse().ok()).flatten()
}

fn install() {
    // The first call is the one that counts.
    let _installed_before = PROVIDER.install_default().is_err();
}

struct EdSigner(Ed25519KeyPair);

impl Signer<Vec<u8>> for EdSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for EdSigner {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct EdVerifier(Vec<u8>);

impl Verifier<Vec<u8>> for EdVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        ED25519
            .verify(self.0[..].into(), message.into(), signature[..].into())
            .map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for EdVerifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that jsonwebtoken asks for"
)]
fn signer_factory(
    algorithm: &Algorithm,
    key: &EncodingKey,
) -> Result<Box<dyn JwtSigner>, JwtError> {
    if *algorithm != Algorithm::EdDSA {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let pair = Ed25519KeyPair::from_seed_unchecked(key.as_bytes())
        .map_err(|_| ErrorKind::InvalidKeyFormat)?;
    Ok(Box::new(EdSigner(pair)))
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that jsonwebtoken asks for"
)]
fn verifier_factory(
    algorithm: &Algorithm,
    key: &DecodingKey,
) -> Result<Box<dyn JwtVerifier>, JwtError> {
    if *algorithm != Algorithm::EdDSA {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(EdVerifier(key.try_get_as_bytes()?.to_vec())))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use serde_json::{Value, json};
    use sha2::Sha256;

    use super::*;

    fn key(number: u8) -> SigningKey {
        SigningKey::from_seed(Uuid::from_u128(number.into()), &[number; 32]).unwrap()
    }

    fn claims() -> AccessClaims {
        let now: Timestamp = "2026-11-21T09:30:00Z".parse().unwrap();
        let (person, session) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let organization = Some(OrganizationId(Uuid::from_u128(3)));
        AccessClaims::new(PersonId(person), SessionId(session), organization, now)
    }

    fn good() -> Value {
        json!({
            "iss": "onhook", "aud": "onhook-api", "sub": Uuid::from_u128(1),
            "sid": Uuid::from_u128(2), "iat": 1, "exp": 2,
        })
    }

    /// A token that says anything, signed in any way.
    fn forged(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let [header, claims] = [header, claims].map(|part| BASE64.encode(part.to_string()));
        let message = format!("{header}.{claims}");
        let signature = BASE64.encode(sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn by_key(key: &SigningKey) -> impl Fn(&[u8]) -> Vec<u8> {
        let pair = Ed25519KeyPair::from_seed_unchecked(key.seed.as_bytes()).unwrap();
        move |message| pair.sign(message).as_ref().to_vec()
    }

    #[test]
    fn what_a_key_signed_it_opens_and_another_does_not() {
        let token = key(7).sign(&claims()).unwrap();
        assert_eq!(key_id(&token), Some(Uuid::from_u128(7)));
        assert_eq!(
            VerifyingKey::new(key(7).public()).open(&token),
            Some(claims())
        );
        assert_eq!(VerifyingKey::new(key(8).public()).open(&token), None);
        for at in [5, token.len() / 2, token.len() - 5] {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(
                VerifyingKey::new(key(7).public()).open(&changed),
                None,
                "{at}"
            );
        }
    }

    #[test]
    fn no_other_algorithm_is_one_of_ours() {
        let (key, id) = (key(7), Uuid::from_u128(7).to_string());
        let verifying = VerifyingKey::new(key.public());
        // The classic: the public key, which is no secret, as the secret of an HMAC.
        let by_public_key = |message: &[u8]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key.public()).unwrap();
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        };
        for alg in ["HS256", "HS384", "HS512"] {
            let token = forged(&json!({"alg": alg, "kid": id}), &good(), by_public_key);
            assert_eq!(
                (key_id(&token), verifying.open(&token)),
                (None, None),
                "{alg}"
            );
        }
        for alg in [
            "none", "None", "NONE", "", "RS256", "ES256", "PS512", "eddsa", "Ed448",
        ] {
            for signature in [Vec::new(), by_key(&key)(b"another message")] {
                let header = json!({"alg": alg, "kid": id});
                let token = forged(&header, &good(), |_| signature.clone());
                assert_eq!(
                    (key_id(&token), verifying.open(&token)),
                    (None, None),
                    "{alg}"
                );
            }
        }
        let unsigned = forged(&json!({"alg": "EdDSA", "kid": id}), &good(), |_| Vec::new());
        assert_eq!(verifying.open(&unsigned), None);
        let critical = json!({"alg": "EdDSA", "kid": id, "crit": ["b64"], "b64": false});
        assert_eq!(key_id(&forged(&critical, &good(), by_key(&key))), None);
    }

    #[test]
    fn who_issued_it_and_for_whom_must_be_right() {
        let (key, id) = (key(7), Uuid::from_u128(7).to_string());
        let verifying = VerifyingKey::new(key.public());
        let with = |member: &str, value: Option<Value>| {
            let mut claims = good();
            let members = claims.as_object_mut().unwrap();
            members.remove(member);
            members.extend(value.map(|value| (member.to_owned(), value)));
            let token = forged(&json!({"alg": "EdDSA", "kid": id}), &claims, by_key(&key));
            verifying.open(&token)
        };
        assert!(with("none of them", None).is_some());
        for member in ["iss", "aud", "sub", "sid", "exp", "iat"] {
            assert_eq!(with(member, None), None, "{member} is missing");
            assert_eq!(with(member, Some(json!("x"))), None, "{member} is another");
            assert_eq!(with(member, Some(json!(["x"]))), None, "{member} is a list");
        }
    }

    #[test]
    fn what_is_no_token_has_no_key() {
        let long = format!("{}.e30.e30", "x".repeat(2000));
        for text in ["", ".", "..", "a.b.c", "eyJ.e30.", "ohk_live_x", &long] {
            assert_eq!(key_id(text), None, "{text}");
        }
    }
}

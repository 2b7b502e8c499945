//! `/api/v1/auth`: what people do with their accounts.

pub(in crate::http) mod change_password;
pub(in crate::http) mod forgot_password;
pub(in crate::http) mod login;
pub(in crate::http) mod logout;
pub(in crate::http) mod refresh;
pub(in crate::http) mod register;
pub(in crate::http) mod reset_password;
pub(in crate::http) mod verify_email;

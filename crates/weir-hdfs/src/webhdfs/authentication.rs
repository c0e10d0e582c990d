//! Who we are: a name, a token, or SPNEGO with the cookie that saves repeating it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, SET_COOKIE, WWW_AUTHENTICATE};
use weir_gssapi::{Context, Credentials, Mechanism, Step};

use super::Authentication;

/// The cookie of Hadoop's authentication filter.
const COOKIE_NAME: &str = "hadoop.auth=";

/// Puts proof into requests. The lock guards the cookies alone and is never held over an await.
pub(super) struct Authenticator {
    authentication: Authentication,
    user: Option<String>,
    /// By address of the server.
    cookies: Mutex<HashMap<String, String>>,
}

/// A negotiation that the server's answer ends.
pub(super) struct Negotiation(Option<Context>);

impl Authenticator {
    pub(super) fn new(authentication: Authentication, user: Option<String>) -> Self {
        Self { authentication, user, cookies: Mutex::default() }
    }

    /// What every URL carries.
    pub(super) fn parameter(&self) -> Option<(&'static str, String)> {
        match &self.authentication {
            Authentication::Simple => self.user.clone().map(|user| ("user.name", user)),
            Authentication::Kerberos(_) => None,
            Authentication::Token(token) => Some(("delegation", token.clone())),
        }
    }

    pub(super) const fn negotiates(&self) -> bool {
        matches!(self.authentication, Authentication::Kerberos(_))
    }

    /// Proof for the server at `address`: its cookie, or a token of Kerberos, for which a key distribution centre may be
    /// asked.
    pub(super) async fn prove(
        &self,
        address: &str,
        request: RequestBuilder,
    ) -> Result<(RequestBuilder, Negotiation), String> {
        let Authentication::Kerberos(credentials) = &self.authentication else {
            return Ok((request, Negotiation(None)));
        };
        let cookie = self.cookies.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned();
        if let Some(cookie) = cookie {
            return Ok((request.header(COOKIE, cookie), Negotiation(None)));
        }
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned();
        let credentials = credentials.clone();
        let opened = tokio::task::spawn_blocking(move || open(&host, &credentials)).await;
        let (context, token) = opened.map_err(|broken| broken.to_string())??;
        Ok((request.header(AUTHORIZATION, format!("Negotiate {token}")), Negotiation(Some(context))))
    }

    /// Takes the server's answer to a request that was let in: checks its proof, keeps its cookie.
    pub(super) fn accepted(&self, address: &str, negotiation: Negotiation, headers: &HeaderMap) -> Result<(), String> {
        if !self.negotiates() {
            return Ok(());
        }
        let token =
            headers.get_all(WWW_AUTHENTICATE).iter().find_map(|value| value.to_str().ok()?.strip_prefix("Negotiate "));
        // A gateway may have taken our proof and answer with a cookie alone; what it proves is up to TLS then.
        if let (Some(mut context), Some(token)) = (negotiation.0, token) {
            let token =
                STANDARD.decode(token.trim()).map_err(|error| format!("its Negotiate token is damaged: {error}"))?;
            if !context.is_established() {
                context.step(&token).map_err(|error| chain(&error))?;
            }
        }
        let cookie = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookie = cookie.filter_map(|value| value.split(';').next()).find(|value| value.starts_with(COOKIE_NAME));
        if let Some(cookie) = cookie.filter(|cookie| cookie.len() > COOKIE_NAME.len()) {
            let mut cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
            cookies.insert(address.to_owned(), cookie.to_owned());
        }
        Ok(())
    }

    /// Forgets the cookie of a server that does not take it any more. Whether there was one.
    pub(super) fn forget(&self, address: &str) -> bool {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner).remove(address).is_some()
    }
}

/// A context with the web server of `host`, and our first token. May block.
fn open(host: &str, credentials: &Credentials) -> Result<(Context, String), String> {
    let mut context =
        Context::new(&format!("HTTP@{host}"), Mechanism::Spnego, credentials).map_err(|error| chain(&error))?;
    match context.step(&[]).map_err(|error| chain(&error))? {
        Step::Continue(token) | Step::Done(Some(token)) => Ok((context, STANDARD.encode(token))),
        Step::Done(None) => Err("Kerberos has nothing to say".to_owned()),
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

//! An errand under way: its requests, one after the other, and who the node is when it is asked.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use super::credentials::{Challenge, Credentials, CredentialsReject};
use super::errand::{Errand, Next};
use super::item::Item;
use super::reject::StoreReject;
use super::tags::{After, Tags};
use super::{ErrandId, Found};
use crate::client::url::Url;
use crate::client::{Answer, CallId, Client, Request, Upload};
use crate::http::Method;
use crate::registry::Namespace;
use crate::slice::Slice;
use limits::{SLICE_LEN, TOKEN_ANSWER_LEN_MAX};

/// How often one request may be asked who the node is: once for a token, once for a better one.
const CHALLENGES_MAX: u8 = 3;

/// An errand under way.
pub struct Running {
    pub id: ErrandId,
    pub work: Work,
    pub is_fetch: bool,
    /// Who asked for a name that the node does not have.
    pub asker: Option<Ipv4Addr>,
    call: Option<CallId>,
    /// The call is to a token server.
    is_token: bool,
    challenges: u8,
    pub begun_ns: u64,
    /// The action was changed here since: what is fetched may be older.
    pub is_outdated: bool,
}

pub enum Work {
    One(Box<Errand>),
    List(Box<Tags>),
}

impl Work {
    /// Whose it is, if that is a tenant's.
    pub fn namespace(&self) -> Option<&Namespace> {
        match self {
            Self::One(errand) => errand.item().namespace(),
            Self::List(tags) => Some(&tags.namespace),
        }
    }

    /// What it is about, if that is one thing.
    pub fn item(&self) -> Option<&Item> {
        match self {
            Self::One(errand) => Some(errand.item()),
            Self::List(_) => None,
        }
    }

    fn repository(&self) -> &str {
        match self {
            Self::One(errand) => errand.repository(),
            Self::List(tags) => &tags.repository,
        }
    }

    /// Does a slice of what is to be done before the next request.
    fn prepare(&mut self) -> Result<After, StoreReject> {
        match self {
            Self::One(errand) => Ok(if errand.work() { After::Request } else { After::Slice }),
            Self::List(tags) => tags.read(&mut Slice::new(SLICE_LEN)),
        }
    }

    fn request(&self, base: &Url) -> Request {
        match self {
            Self::One(errand) => errand.request(base),
            Self::List(tags) => tags.request(base),
        }
    }
}

/// Where an errand stands after a step.
pub enum Step {
    /// It waits for its call, or for the room to make one.
    Waits,
    /// There is more to do at once.
    Works,
    Ended(Result<Found, StoreReject>),
}

impl Step {
    fn begun(call: Option<CallId>) -> Self {
        // The next look at the client makes something of it.
        if call.is_some() { Self::Works } else { Self::Waits }
    }
}

impl Running {
    /// Work that nobody has begun yet.
    pub fn new(id: ErrandId, work: Work, is_fetch: bool, now_ns: u64) -> Self {
        Self {
            id,
            work,
            is_fetch,
            asker: None,
            call: None,
            is_token: false,
            challenges: 0,
            begun_ns: now_ns,
            is_outdated: false,
        }
    }

    /// Moves it on as far as it goes. `base` is the registry.
    pub fn step(
        &mut self,
        base: &Url,
        credentials: &mut Credentials,
        client: &mut Client,
        now_ns: u64,
    ) -> Step {
        let Some(call) = self.call else {
            match self.work.prepare() {
                Ok(After::Slice) => return Step::Works,
                Ok(After::Request) => {}
                Ok(After::End(found)) => return Step::Ended(Ok(found)),
                Err(reject) => return Step::Ended(Err(reject)),
            }
            let mut request = self.work.request(base);
            // An upload may be sent elsewhere, which is not told who the node is.
            if request.url.is_beside(base) {
                request.authorization = credentials.of(self.work.repository(), now_ns);
            }
            self.call = client.begin(request, now_ns);
            return Step::begun(self.call);
        };
        let Some(result) = client.take(call) else { return Step::Waits };
        self.call = None;
        let answer = match result {
            Ok(answer) => answer,
            Err(failure) => return Step::Ended(Err(StoreReject::Away(failure))),
        };
        if self.is_token {
            self.is_token = false;
            return match learn(credentials, self.work.repository(), &answer, now_ns) {
                Ok(()) => Step::Works,
                Err(reject) => Step::Ended(Err(StoreReject::Credentials(reject))),
            };
        }
        if answer.head.status == 401 {
            return self.challenged(credentials, client, &answer, now_ns);
        }
        if answer.head.status == 403 {
            return Step::Ended(Err(StoreReject::Credentials(CredentialsReject::Denied)));
        }
        self.answer(answer)
    }

    fn answer(&mut self, answer: Answer) -> Step {
        match &mut self.work {
            Work::One(errand) => match errand.answer(answer) {
                Ok(Next::Ask | Next::Work) => {
                    self.challenges = 0;
                    Step::Works
                }
                Ok(Next::Done(outcome)) => Step::Ended(Ok(Found::One(outcome))),
                Err(reject) => Step::Ended(Err(reject)),
            },
            Work::List(tags) => match tags.answer(answer) {
                Ok(true) => Step::Works,
                Ok(false) => Step::Ended(Ok(tags.take_found())),
                Err(reject) => Step::Ended(Err(reject)),
            },
        }
    }

    /// The registry wants to know who asks.
    fn challenged(
        &mut self,
        credentials: &mut Credentials,
        client: &mut Client,
        answer: &Answer,
        now_ns: u64,
    ) -> Step {
        self.challenges += 1;
        if self.challenges == CHALLENGES_MAX {
            return Step::Ended(Err(StoreReject::Credentials(CredentialsReject::Denied)));
        }
        let header = answer.head.headers().get("www-authenticate");
        match credentials.follow(header, self.work.repository()) {
            Ok(Challenge::Basic) => Step::Works,
            Ok(Challenge::Bearer(url)) => {
                let request = Request {
                    method: Method::Get,
                    url,
                    fields: Vec::new(),
                    authorization: credentials.password(),
                    upload: Upload::None,
                    len_max: TOKEN_ANSWER_LEN_MAX,
                    is_hashed: false,
                };
                self.call = client.begin(request, now_ns);
                self.is_token = self.call.is_some();
                Step::begun(self.call)
            }
            Err(reject) => Step::Ended(Err(StoreReject::Credentials(reject))),
        }
    }
}

fn learn(
    credentials: &mut Credentials,
    repository: &str,
    answer: &Answer,
    now_ns: u64,
) -> Result<(), CredentialsReject> {
    match answer.head.status {
        200 => {}
        401 | 403 => return Err(CredentialsReject::Denied),
        _ => return Err(CredentialsReject::Token),
    }
    let body = answer.body.to_vec().map_err(|_| CredentialsReject::Token)?;
    credentials.learn(repository, &body, now_ns)
}

//! What a request wants to know of the registry before it can be answered.

use core::ops::Range;

use super::invoke::web;
use super::lookup::check_namespace;
use super::manage::listing;
use super::request::push::{self, Target};
use super::request::query::{Query, decode_segment};
use super::request::route::Route;
use crate::http::{Method, Request};
use crate::registry::{Name, Namespace};
use crate::state::Node;
use crate::store::Key;

/// See the head of this file.
#[derive(Debug)]
pub enum Wanted {
    /// Nothing, or it will be refused anyway.
    Nothing,
    /// An action, as the registry has it.
    Action {
        /// Which.
        key: Key,
        /// It is to be changed.
        is_change: bool,
    },
    /// Which actions there are, and the names of those in a range.
    List(Namespace, Range<usize>),
}

/// What a request wants.
#[must_use]
pub fn wanted(node: &Node, request: &Request) -> Wanted {
    find(node, request).unwrap_or(Wanted::Nothing)
}

fn find(node: &Node, request: &Request) -> Option<Wanted> {
    let policy = &node.policy;
    let tenant = || {
        let header = request.text.headers().get("authorization");
        policy.tenants.authenticate(header).ok()
    };
    let action = |namespace: &Namespace, name: &str, is_change: bool| {
        let name = Name::new(name).ok()?;
        Some(Wanted::Action { key: (namespace.clone(), name), is_change })
    };
    match Route::of(request.text.path()) {
        Route::Function { name, .. } => {
            action(policy.public_namespace.as_ref()?, &decode_segment(name)?, false)
        }
        Route::Web(target) => {
            let (namespace, name) = web::named(target)?;
            action(&policy.tenants.namespace(&namespace)?, &name, false)
        }
        Route::Action { namespace, name } => {
            let tenant = tenant()?;
            check_namespace(tenant, namespace).ok()?;
            let is_change = matches!(request.method, Method::Put | Method::Delete);
            action(&tenant.namespace, &decode_segment(name)?, is_change)
        }
        Route::Push(Target::Manifest { repository, reference })
            if request.method == Method::Put =>
        {
            let namespace = &tenant()?.namespace;
            let name = push::action(namespace.as_str(), repository, reference).ok()?;
            action(namespace, name.as_str(), true)
        }
        Route::Actions { namespace } if request.method == Method::Get => {
            let tenant = tenant()?;
            check_namespace(tenant, namespace).ok()?;
            let wanted = listing::wanted(Query::new(request.text.query())).ok()?;
            Some(Wanted::List(tenant.namespace.clone(), wanted))
        }
        _ => None,
    }
}

//! From a path to a [`Route`]: which family of requests it belongs to, without looking anything up.

use super::push::Target;

/// Where a request for an exported action goes; the pieces are still percent-encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebTarget<'a> {
    /// Whose action.
    pub namespace: &'a str,
    /// In which package; `default` is that of actions without one.
    pub package: &'a str,
    /// Which action, with the extension.
    pub name: &'a str,
    /// What follows, with its slash; may be empty.
    pub path: &'a str,
}

/// What a path names. The pieces are still percent-encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/function/NAME` and everything below: an action, raw bytes in and out.
    Function {
        /// The action.
        name: &'a str,
        /// What follows the name, with its slash; may be empty.
        path: &'a str,
    },
    /// `/api/v1/web/NS/PACKAGE/NAME` and everything below: an exported action.
    Web(WebTarget<'a>),
    /// `/api/v1/namespaces/NS/actions/NAME`.
    Action {
        /// Whose.
        namespace: &'a str,
        /// Which; contains a slash if it is qualified by a package.
        name: &'a str,
    },
    /// `/api/v1/namespaces/NS/actions`.
    Actions {
        /// Whose.
        namespace: &'a str,
    },
    /// `/api/v1/namespaces/NS/activations` and everything below.
    Activations {
        /// Whose.
        namespace: &'a str,
        /// An id, and what follows it; may be empty.
        path: &'a str,
    },
    /// `/api/v1/namespaces/NS/limits`.
    Limits {
        /// Whose.
        namespace: &'a str,
    },
    /// Another collection of a namespace, or something in it.
    Other {
        /// Whose.
        namespace: &'a str,
        /// Which collection.
        collection: Collection,
        /// Which thing in it; may be empty.
        name: &'a str,
    },
    /// `/api/v1/namespaces`.
    Namespaces,
    /// `/api/v1/runtimes` and `/api/v1/runtimes/NAME`.
    Runtimes {
        /// Which one; may be empty.
        name: &'a str,
    },
    /// `/v2/` and everything below that is known: the distribution protocol.
    Push(Target<'a>),
    /// `/api/v1`: what the API is.
    Description,
    /// `/`: what the node is.
    Index,
    /// `/ping`.
    Ping,
    /// `/healthz` and `/livez`.
    Alive,
    /// `/readyz`.
    Ready,
    /// `/metrics`.
    Metrics,
    /// `/admin/drain`.
    Drain,
    /// Below `/api/v1`, but nothing we know.
    UnknownApi,
    /// Nothing we know.
    Unknown,
}

/// Collections of a namespace that are always empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// Groups of actions; not supported.
    Packages,
    /// Named events; not supported.
    Triggers,
    /// Links from triggers to actions; not supported.
    Rules,
}

impl Collection {
    /// Its name in paths and texts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Packages => "packages",
            Self::Triggers => "triggers",
            Self::Rules => "rules",
        }
    }
}

impl<'a> Route<'a> {
    /// The route of a path.
    #[must_use]
    pub fn of(path: &'a str) -> Self {
        if let Some(rest) = path.strip_prefix("/function/") {
            let (name, path) = cut(rest);
            return if name.is_empty() { Self::Unknown } else { Self::Function { name, path } };
        }
        if let Some(rest) = path.strip_prefix("/api/v1") {
            return Self::of_api(rest);
        }
        if let Some(rest) = path.strip_prefix("/v2/") {
            return Target::of(rest).map_or(Self::UnknownApi, Self::Push);
        }
        match path {
            "/" => Self::Index,
            "/v2" => Self::Push(Target::Base),
            "/ping" => Self::Ping,
            "/healthz" | "/livez" => Self::Alive,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            "/admin/drain" => Self::Drain,
            _ => Self::Unknown,
        }
    }

    /// Whether a path is that of [`Self::Metrics`] or [`Self::Ready`]: asked of every request.
    #[must_use]
    pub fn shows_load(path: &str) -> bool {
        matches!(path, "/metrics" | "/readyz")
    }

    /// The route of what follows `/api/v1`. One slash at the end changes nothing.
    fn of_api(rest: &'a str) -> Self {
        if let Some(rest) = rest.strip_prefix("/web/") {
            return Self::of_web(rest).unwrap_or(Self::Unknown);
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            return Self::Description;
        }
        if !rest.starts_with('/') || rest == "/web" {
            return Self::Unknown;
        }
        if let ("runtimes", name) = cut(&rest[1..])
            && !name[name.len().min(1)..].contains('/')
        {
            return Self::Runtimes { name: name.strip_prefix('/').unwrap_or_default() };
        }
        let Some(rest) = rest.strip_prefix("/namespaces") else { return Self::UnknownApi };
        if rest.is_empty() {
            return Self::Namespaces;
        }
        let Some(rest) = rest.strip_prefix('/') else { return Self::UnknownApi };
        let (namespace, rest) = cut(rest);
        let Some(rest) = rest.strip_prefix('/') else { return Self::UnknownApi };
        let (collection, rest) = cut(rest);
        let name = rest.strip_prefix('/').unwrap_or_default();
        let other = |collection| Self::Other { namespace, collection, name };
        match collection {
            "actions" if name.is_empty() => Self::Actions { namespace },
            "actions" => Self::Action { namespace, name },
            "limits" if name.is_empty() => Self::Limits { namespace },
            "packages" => other(Collection::Packages),
            "triggers" => other(Collection::Triggers),
            "rules" => other(Collection::Rules),
            "activations" => Self::Activations { namespace, path: name },
            _ => Self::UnknownApi,
        }
    }

    fn of_web(rest: &'a str) -> Option<Self> {
        let (namespace, rest) = cut(rest);
        let (package, rest) = cut(rest.strip_prefix('/')?);
        let (name, path) = cut(rest.strip_prefix('/')?);
        let target = WebTarget { namespace, package, name, path };
        (!name.is_empty()).then_some(Self::Web(target))
    }

    /// Whether a key is needed before anything is said about the path.
    #[must_use]
    pub const fn needs_key(self) -> bool {
        matches!(
            self,
            Self::Action { .. }
                | Self::Actions { .. }
                | Self::Activations { .. }
                | Self::Limits { .. }
                | Self::Other { .. }
                | Self::Namespaces
                | Self::Push(_)
                | Self::UnknownApi
        )
    }

    /// Whether it is for the administrator only, of what can have a long body.
    #[must_use]
    pub const fn needs_admin(self) -> bool {
        matches!(self, Self::Runtimes { .. })
    }

    /// Whether there is nothing at the path.
    #[must_use]
    pub const fn is_unknown(self) -> bool {
        matches!(self, Self::Unknown | Self::UnknownApi)
    }

    /// The methods the path has, for the `Allow` header of a 405.
    #[must_use]
    pub const fn allow(self) -> &'static str {
        match self {
            Self::Action { .. } => "GET, HEAD, PUT, POST, DELETE, OPTIONS",
            Self::Function { .. } | Self::Web(_) => "GET, HEAD, PUT, POST, DELETE, PATCH, OPTIONS",
            Self::Push(target) => target.allow(),
            Self::Drain => "POST, OPTIONS",
            Self::Runtimes { name } if !name.is_empty() => "GET, HEAD, PUT, DELETE, OPTIONS",
            Self::Other { name, .. } if !name.is_empty() => "GET, HEAD, PUT, POST, DELETE, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }
}

/// Cuts in front of the first slash.
fn cut(path: &str) -> (&str, &str) {
    path.split_at(path.bytes().position(|byte| byte == b'/').unwrap_or(path.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_have_routes() {
        let action = |namespace, name| Route::Action { namespace, name };
        let web = |name, path| Route::Web(WebTarget { namespace: "a", package: "b", name, path });
        let other = |collection, name| Route::Other { namespace: "_", collection, name };
        for (path, route) in [
            ("/", Route::Index),
            ("/ping", Route::Ping),
            ("/healthz", Route::Alive),
            ("/livez", Route::Alive),
            ("/readyz", Route::Ready),
            ("/metrics", Route::Metrics),
            ("/admin/drain", Route::Drain),
            ("/api/v1", Route::Description),
            ("/api/v1/", Route::Description),
            ("/api/v1/namespaces", Route::Namespaces),
            ("/api/v1/namespaces/", Route::Namespaces),
            ("/api/v1/runtimes", Route::Runtimes { name: "" }),
            ("/api/v1/runtimes/", Route::Runtimes { name: "" }),
            ("/api/v1/runtimes/python:3", Route::Runtimes { name: "python:3" }),
            ("/api/v1/namespaces/_/actions", Route::Actions { namespace: "_" }),
            ("/api/v1/namespaces/_/actions/", Route::Actions { namespace: "_" }),
            ("/api/v1/namespaces/_/actions/hello", action("_", "hello")),
            ("/api/v1/namespaces/_/actions/hello/", action("_", "hello")),
            ("/api/v1/namespaces/guest/actions/p/hello", action("guest", "p/hello")),
            ("/api/v1/namespaces/_/actions/..", action("_", "..")),
            ("/api/v1/namespaces/_/limits", Route::Limits { namespace: "_" }),
            ("/api/v1/namespaces/_/packages", other(Collection::Packages, "")),
            ("/api/v1/namespaces/_/triggers/t", other(Collection::Triggers, "t")),
            ("/api/v1/namespaces/_/rules/r", other(Collection::Rules, "r")),
            ("/api/v1/namespaces/_/activations/", Route::Activations { namespace: "_", path: "" }),
            (
                "/api/v1/namespaces/_/activations/x/logs",
                Route::Activations { namespace: "_", path: "x/logs" },
            ),
            ("/api/v1/web/a/b/c.json", web("c.json", "")),
            ("/api/v1/web/a/b/c/", web("c", "/")),
            ("/api/v1/web/a/b/c/d//e/", web("c", "/d//e/")),
            ("/function/hello", Route::Function { name: "hello", path: "" }),
            ("/function/hello/", Route::Function { name: "hello", path: "/" }),
            ("/function/hello/a/b", Route::Function { name: "hello", path: "/a/b" }),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
            let shows_load = matches!(route, Route::Ready | Route::Metrics);
            assert_eq!(Route::shows_load(path), shows_load, "{path}");
        }
    }

    #[test]
    fn everything_else_is_unknown() {
        for path in [
            "",
            "//",
            "/x",
            "/function",
            "/function/",
            "/function//a",
            "/ping/",
            "/healthz/x",
            "/admin",
            "/admin/drain/",
            "/api",
            "/api/v2",
            "/api/v1x",
            "/api/v1/web",
            "/api/v1/web/",
            "/api/v1/web/guest",
            "/api/v1/web/guest/default",
            "/api/v1/web/guest/default/",
            "/Function/hello",
            "/../healthz",
            "*",
        ] {
            assert_eq!(Route::of(path), Route::Unknown, "{path}");
        }
        for path in [
            "/api/v1/x",
            "/api/v1//namespaces",
            "/api/v1/namespacesx",
            "/api/v1/namespaces/_",
            "/api/v1/namespaces/_/x",
            "/api/v1/namespaces//",
            "/api/v1/namespaces/_//actions",
            "/api/v1/webx",
        ] {
            assert_eq!(Route::of(path), Route::UnknownApi, "{path}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(path in "(/|/function/|/api/v1/namespaces/)?[\\PC/.%]{0,60}") {
            let _ = Route::of(&path).allow();
        }
    }
}

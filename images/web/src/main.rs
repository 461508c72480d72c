//! HTTP requests → responses of its own making. To be deployed with the annotation `cgi`.
//!
//! ```text
//! /                 what it was told of the request, as text
//! /status/CODE      that status
//! /cookie?name=N    a greeting for N, or for whom the cookie says it was before
//! /count?to=N&ms=M  N events, each after M milliseconds of work; they leave at once if the action
//!                   was deployed with the annotation `stream`, too
//! /split?value=V    V in a header field, whatever it holds
//! ```

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::time::Duration;

use action_abi::prelude::*;
use action_abi::runtime::context::environment;

fn web(request: Request<'_>) -> Response {
    match (request.method(), request.path().split('/').nth(1).unwrap_or_default()) {
        ("DELETE", _) => Response::new(204),
        (_, "" | "echo") => Response::text(told(&request)),
        (_, "status") => status(request.path()).into(),
        (_, "cookie") => cookie(&request),
        (_, "count") => count(&request),
        (_, "split") => Response::new(200)
            .with_header("X-Value", &request.parameter("value").unwrap_or_default()),
        _ => Response::text("There is no such page.\n").with_status(404),
    }
}

/// Every variable of CGI on a line of its own, and the body.
fn told(request: &Request<'_>) -> String {
    let mut text = String::new();
    for (name, value) in environment().filter(|(name, _)| !name.starts_with("__OW_")) {
        text += &format!("{name}={value}\n");
    }
    text + &String::from_utf8_lossy(request.body)
}

fn status(path: &str) -> Result<Response, core::num::ParseIntError> {
    let status = path.rsplit('/').next().unwrap_or_default().parse()?;
    Ok(Response::new(status).with_header("Location", "/elsewhere"))
}

fn cookie(request: &Request<'_>) -> Response {
    let before = request.header("cookie").and_then(|cookie| cookie.strip_prefix("name="));
    let name = request.parameter("name").or(before.map(Cow::Borrowed));
    let name = name.as_deref().unwrap_or("stranger");
    Response::text(format!("Hello, {name}!\n")).with_header("Set-Cookie", &format!("name={name}"))
}

fn count(request: &Request<'_>) -> Response {
    let number = |name| request.parameter(name).and_then(|value| value.parse().ok());
    let (to, ms) = (number("to").unwrap_or(3), number("ms").unwrap_or(100));
    Response::new(200).with_header("Content-Type", "text/event-stream").with_writer(move |output| {
        for number in 1..=to {
            let until = now() + Duration::from_millis(ms);
            while now() < until {}
            output.write(format!("data: {number}\n\n").as_bytes())?;
            output.flush();
        }
        Ok(())
    })
}

action_abi::http_action!(web);

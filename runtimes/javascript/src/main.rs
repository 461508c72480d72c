//! The runtime for JavaScript: `QuickJS`, a launcher written in JavaScript, and for it the few
//! things that only a program can do.
//!
//! What the launcher does is in `launcher.js`. This file gives it files, descriptors, time and
//! randomness, and runs what it leaves behind: promises, then timers.

mod native;

use std::process::ExitCode;

use rquickjs::context::EvalOptions;
use rquickjs::{CatchResultExt, Context, Ctx, Error, Function, Object, Runtime};

/// What scripts find that is written in their language: functions that are called once.
const URL: (&str, &str) = ("url.js", include_str!("url.js"));
const LAUNCHER: (&str, &str) = ("launcher.js", include_str!("launcher.js"));
/// Of the process' own stack, which has 8 MiB, for scripts that recurse.
const STACK_LEN: usize = 6 << 20;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("javascript: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<(), Error> {
    let runtime = Runtime::new()?;
    runtime.set_max_stack_size(STACK_LEN);
    let context = Context::full(&runtime)?;
    context.with(|ctx| {
        let run = || -> Result<(), Error> {
            function(&ctx, URL)?.call::<_, ()>(())?;
            let steps: Object = function(&ctx, LAUNCHER)?.call((native::object(&ctx)?,))?;
            run_to_end(&ctx, &steps)
        };
        run().catch(&ctx).map_err(|error| {
            eprintln!("javascript: {error}");
            Error::Unknown
        })
    })
}

fn function<'js>(ctx: &Ctx<'js>, file: (&str, &str)) -> Result<Function<'js>, Error> {
    let (name, source) = file;
    let mut options = EvalOptions::default();
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(source, options)
}

/// Every step may leave promises and timers; the last one ends the process.
fn run_to_end(ctx: &Ctx<'_>, steps: &Object<'_>) -> Result<(), Error> {
    let step = |name: &str| steps.get::<_, Function>(name);
    step("prepare")?.call::<_, ()>(())?;
    while ctx.execute_pending_job() {}
    // The garbage of loading must not be looked for in each call.
    ctx.run_gc();
    step("call")?.call::<_, ()>(())?;
    let timer = step("timer")?;
    loop {
        while ctx.execute_pending_job() {}
        if !timer.call::<_, bool>(())? {
            // Nothing can happen any more.
            return step("abandon")?.call(());
        }
    }
}

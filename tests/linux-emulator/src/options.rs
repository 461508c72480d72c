//! The command line.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::calls::Plan;
use crate::windows::Beginning;
use crate::{EmulatorError, system};

/// What the environment of a preparation says, as the node says it.
const AT_INPUT: &[u8] = b"HOSTKERNEL_INIT=input\0PORT=8080\0";
const STAGE_RUNTIME: &[u8] = b"HOSTKERNEL_STAGE=runtime\0";
const STAGE_FUNCTION: &[u8] = b"HOSTKERNEL_STAGE=function\0PORT=8080\0";
/// What variables for the calls begin with.
const PREFIX: &[u8] = b"ACTION_";
/// What a function's stage begins with unless told otherwise.
const INIT: &str = "{\"value\":{}}";

/// What is to be run.
#[derive(Debug)]
pub struct Job {
    /// The host image.
    pub image: PathBuf,
    /// What it runs.
    pub payload: PathBuf,
    /// What it is prepared with.
    pub beginning: Beginning,
    /// What follows.
    pub plan: Plan,
}

/// What the options say.
#[derive(Debug, Default)]
struct Options {
    at_input: bool,
    calls: Vec<PathBuf>,
    function: Option<PathBuf>,
    init: Option<OsString>,
    warm: Option<OsString>,
}

/// Reads the command line and standard input.
pub fn parse() -> Result<Job, EmulatorError> {
    let mut words = env::args_os().skip(1).peekable();
    let mut options = Options::default();
    while let Some(option) = words.next_if(|word| word.as_bytes().starts_with(b"--")) {
        if option == "--at-input" {
            options.at_input = true;
            continue;
        }
        let value = words.next().ok_or(EmulatorError::Usage)?;
        match option.as_bytes() {
            b"--call" => options.calls.push(value.into()),
            b"--function" => options.function = Some(value.into()),
            b"--init" => options.init = Some(value),
            b"--warm" => options.warm = Some(value),
            _ => return Err(EmulatorError::Usage),
        }
    }
    let image = words.next().ok_or(EmulatorError::Usage)?.into();
    let payload = words.next().ok_or(EmulatorError::Usage)?.into();
    let mut arguments = Vec::new();
    for argument in words {
        arguments.extend_from_slice(argument.as_bytes());
        arguments.push(0);
    }
    job(options, image, payload, arguments)
}

fn job(
    options: Options,
    image: PathBuf,
    payload: PathBuf,
    arguments: Vec<u8>,
) -> Result<Job, EmulatorError> {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).map_err(system("standard input"))?;
    let mut inputs = vec![input];
    for file in &options.calls {
        inputs.push(std::fs::read(file).map_err(system("the input of a call"))?);
    }
    let environment = environment();
    let instances = (1..).zip(inputs).map(|(instance, input)| Beginning {
        instance,
        arguments: arguments.clone(),
        environment: environment.clone(),
        input,
    });
    let mut plan = Plan { function: None, instances: instances.collect() };
    let mut beginning = Beginning { arguments: arguments.clone(), ..Beginning::default() };
    let warm = options.warm.map(|path| warming(path.as_bytes())).unwrap_or_default();
    if options.at_input {
        beginning.environment.extend_from_slice(&warm);
    }
    if options.at_input || options.function.is_some() {
        beginning.environment.extend_from_slice(AT_INPUT);
    }
    if let Some(code) = options.function {
        beginning.environment.extend_from_slice(STAGE_RUNTIME);
        let code = File::open(code).map_err(system("the function"))?;
        let mut line = options.init.unwrap_or_else(|| INIT.into()).into_vec();
        line.push(b'\n');
        let environment = [&warm, STAGE_FUNCTION, AT_INPUT].concat();
        plan.function =
            Some((code, Beginning { environment, input: line, ..Beginning::default() }));
    }
    Ok(Job { image, payload, beginning, plan })
}

/// What the environment of a preparation says of a request that is answered before the freeze.
fn warming(path: &[u8]) -> Vec<u8> {
    let rest = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n\0";
    [b"HOSTKERNEL_WARM=GET ", path, rest].concat()
}

/// The environment of a call.
fn environment() -> Vec<u8> {
    let mut entries = Vec::new();
    for (name, value) in env::vars_os() {
        if let Some(name) = name.as_bytes().strip_prefix(PREFIX) {
            entries.extend([name, b"=", value.as_bytes(), b"\0"].concat());
        }
    }
    entries
}

//! Functions of several languages and tenants beside each other: every call leaves marks wherever
//! it can, and looks for those of others.

use std::thread;

use hk::{Client, DeployOptions};

use super::*;

/// Tenants with their keys, and functions of each language that a tenant has.
const TENANTS: [(&str, &str); 2] = [("guest", "g:k"), ("other", "o:k")];
const WORDS: &str =
    "hostkernel.auth=g:k hostkernel.admin_key=a:k hostkernel.namespace=other,key=o:k";
const FUNCTIONS: usize = 5;
/// Calls of each function.
const CALLS: usize = 25;
/// What the node may have less of afterwards: pages of caches, which are kept.
const KEPT_LEN: u64 = 4 << 20;

const PYTHON: &str = "\
import os, sys\nmarks = []\n\
def main(args):\n\
\x20   found = marks + os.listdir('/tmp') + [it for it in os.environ if it.startswith('MARK')]\n\
\x20   found += [it for it in dir(sys) if it.startswith('mark')]\n\
\x20   mark = args['mark']\n\
\x20   marks.append(mark)\n    open('/tmp/' + mark, 'w').write(mark)\n\
\x20   os.environ['MARK' + mark] = mark\n    setattr(sys, 'mark' + mark, mark)\n\
\x20   return {'found': found, 'who': WHO, 'mark': mark, 'memory': len(bytearray(1 << 18))}\n";

const JAVASCRIPT: &str = "\
let marks = [];\n\
function main({ mark }) {\n\
  const names = [...Object.keys(globalThis), ...Object.keys(process.env)];\n\
  const found = [...marks, ...names.filter((it) => it.startsWith('MARK'))];\n\
  marks.push(mark); globalThis['MARK' + mark] = mark; process.env['MARK' + mark] = mark;\n\
  return { found, who: WHO, mark, memory: new Uint8Array(1 << 18).fill(1).length };\n\
}\n";

#[test]
fn nothing_of_a_call_is_seen_by_another_whoever_runs_what() {
    let node = boot(machine().memory_mib(1024).kernel_words(WORDS));
    let admin = node.client().clone().with_key("a:k").with_timeout(RUNTIME_TIMEOUT);
    for language in [Language::Python, Language::JavaScript] {
        install(&admin, language);
    }
    let mut functions: Vec<(Client, String)> = Vec::new();
    for (tenant, key) in TENANTS {
        let client = node.client().clone().with_key(key);
        for number in 0..FUNCTIONS {
            let sources =
                [("python", PYTHON, "WHO = "), ("javascript", JAVASCRIPT, "const WHO = ")];
            for (kind, source, declare) in sources {
                let name = format!("{kind}-{number}");
                let code = format!("{declare}'{tenant}/{name}'\n{source}");
                let options = DeployOptions {
                    kind: Some(format!("{kind}:default")),
                    memory_mb: Some(64),
                    ..DeployOptions::default()
                };
                client.deploy(&name, code.as_bytes(), &options).expect("it is deployed");
                functions.push((client.clone(), format!("{tenant}/{name}")));
            }
        }
    }
    call_all(&functions, 1);
    let available = || node.metric("hostkernel_memory_bytes{kind=\"available\"}");
    let before = available();
    call_all(&functions, CALLS);
    let after = available();
    assert!(after + KEPT_LEN >= before, "{before} bytes were available, and now {after}");
}

/// Calls each function so many times, from two sides.
fn call_all(functions: &[(Client, String)], count: usize) {
    let call = |side: usize| {
        for round in 0..count {
            for (at, (client, who)) in functions.iter().enumerate() {
                let mark = format!("{side}x{round}x{at}");
                let name = who.split('/').next_back().expect("a name");
                let done = client.invoke(name, &json!({ "mark": mark })).expect("it runs");
                let expected = json!({"found": [], "who": who, "mark": mark, "memory": 1 << 18});
                assert_eq!(done.activation.response.result, expected, "{who}");
            }
        }
    };
    thread::scope(|scope| {
        for side in 0..2 {
            scope.spawn(move || call(side));
        }
    });
}

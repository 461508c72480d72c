//! The samples in `images/functions`, read as `hk deploy` reads them.

use std::path::Path;

use hk::Code;
use xtask::lab::registries::{self, NODE_MODULES};

use super::servers::ready;
use super::*;

/// Where `pip3 install --target` puts packages, as the sample says.
const VIRTUALENV: &str = "virtualenv/lib/python3/site-packages";

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/functions").join(name)
}

impl Functions {
    #[track_caller]
    fn runs_sample(self, file: &str, input: &Value, expected: &Value) {
        let code = Code::open(&sample(file)).expect("it is there");
        self.deploy(&code.name, &code.bytes);
        self.call(&code.name, input).succeeded(expected);
    }

    /// Deploys a server with what its registry has for it, as if that had been installed there.
    #[track_caller]
    fn serves_sample(self, folder: &str, files: &[&str], packages: &Path, at: &str) {
        let read = |name: &&str| fs::read_to_string(sample(folder).join(name)).expect("a file");
        let texts: Vec<_> = files.iter().map(read).collect();
        let files: Vec<_> = files.iter().zip(&texts).map(|(name, text)| (*name, &**text)).collect();
        self.serve(folder, &ready(registries::archive(&files, packages, at)));
    }
}

pub fn python(functions: Functions) {
    let input = json!({ "csv": "name,age\nAda,36\nAlan,41\n,\n" });
    let age = json!({ "count": 2, "min": 36.0, "mean": 38.5, "max": 41.0 });
    let expected = json!({ "rows": 3, "columns": { "name": { "count": 2 }, "age": age } });
    functions.runs_sample("summary.py", &input, &expected);
    let packages = ready(registries::python(|doing| println!("{doing}")));
    functions.serves_sample("pages", &["__main__.py"], &packages, VIRTUALENV);
    let node = functions.node();
    let form = node.get("/function/pages/").text();
    assert!(form.contains(r#"action="/function/pages/greeting""#), "{form}");
    let fields = ["Content-Type: application/x-www-form-urlencoded"];
    let answer = node.request("POST", "/function/pages/greeting", &fields, b"name=%3Cyou%3E");
    assert_eq!(answer.text(), "<p>Hello, &lt;you&gt;!</p>");
}

/// What runs wherever there is JavaScript.
pub fn javascript(functions: Functions) {
    let input = json!({ "text": "to be, or not to BE", "most": 2 });
    let expected = json!({ "words": 6, "frequent": [["be", 2], ["to", 2]] });
    functions.runs_sample("words.js", &input, &expected);
}

pub fn node(functions: Functions) {
    javascript(functions);
    let packages = ready(registries::node(|doing| println!("{doing}"))).join(NODE_MODULES);
    functions.serves_sample("notes", &["server.js", "package.json"], &packages, NODE_MODULES);
    let node = functions.node();
    let post = |body: &[u8]| {
        let fields = ["Content-Type: application/json"];
        node.request("POST", "/function/notes/notes", &fields, body)
    };
    let answer = post(br#"{"text":"to do"}"#);
    assert_eq!((answer.status, &answer.json()["words"]), (201, &json!(2)));
    let location = answer.header("location").expect("a place");
    assert!(location.starts_with("/function/notes/notes/"), "{location}");
    let answer = post(b"{}");
    assert_eq!((answer.status, &answer.json()["error"]), (422, &json!("a note has a text")));
}

//! Functions deployed and called by OpenWhisk's client for Node.js, as npm has it.

use system_tests::clients::{command, npm_packages};
use xtask::workspace;

use super::*;

/// Source text, that of an archive with its file, and text that is none.
type Sources<'a> = (&'a str, (&'a str, &'a str), &'a str);

pub const PYTHON: Sources<'_> = (
    "def main(args):\n    a, b = args['a'], args['b']\n\
     \x20   return {'sum': a + b if isinstance(b, int) else f'{a}{b}'}\n",
    ("__main__.py", "def add(args): return {'sum': args['a'] + args['b']}"),
    "def main(args",
);
pub const JAVASCRIPT: Sources<'_> = (
    "const main = ({ a, b }) => ({ sum: a + b });\n",
    ("index.js", "exports.add = ({ a, b }) => ({ sum: a + b });"),
    "function main( {",
);

impl Functions {
    pub fn are_deployed_by_npm(self, (source, file, broken): Sources<'_>) {
        let packages = npm_packages();
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let path = folder.path().join("function.zip");
        fs::write(&path, archive(&[file])).expect("it can be written");
        let script = workspace::root().join("tests/npm/functions.js");
        let written = fs::read_to_string(&script).expect("the script is there");
        let output = command("node")
            .arg("--test-reporter=tap")
            .arg(&script)
            .env("NODE_PATH", packages)
            .envs([("KIND", self.kind), ("SOURCE", source), ("BROKEN", broken)])
            .env("ARCHIVE", &path)
            .env("__OW_API_HOST", self.node().base_url())
            .env("__OW_API_KEY", hk::GUEST_KEY)
            .output()
            .expect("Node.js starts");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        let count = written.matches("\ntest(").count();
        let passed = said.lines().find_map(|line| line.strip_prefix("# pass ")?.parse().ok());
        assert!(count > 5 && passed == Some(count), "{passed:?} of {count}:\n{said}");
    }
}

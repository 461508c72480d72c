//! A script, run by QuickJS: classes, generators, maps, regular expressions, promises, errors.

use std::io::Read;

use rquickjs::{Context, Function, Runtime};

const SCRIPT: &str = r#"
class Shape { constructor(side) { this.side = side } get area() { return this.side ** 2 } }
function* squares(count) { for (let n = 0; n < count; n++) yield new Shape(n).area }
print(JSON.stringify([...squares(5)]));
const counts = new Map();
for (const word of input.match(/\w+/g)) counts.set(word, (counts.get(word) ?? 0) + 1);
print(JSON.stringify([...counts]));
print((2n ** 70n).toString(), 0.1 + 0.2, [3, 1, 2].toSorted().join());
print(new Date(86400000).toISOString(), 'gr\u00fc\u00dfe'.normalize('NFD').length);
const list = []; for (let n = 0; n < 100000; n++) list.push({ n });
print(list.reduce((sum, { n }) => sum + n, 0));
try { null.field } catch (error) { print(error instanceof TypeError) }
const typed = new Uint16Array([1, 65537, -1]);
print(typed.join(), 'a-b-c'.replaceAll('-', '+'));
Promise.all([1, 2, 3].map(async (n) => n * 2)).then((all) => print(all.join()));
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let runtime = Runtime::new()?;
    Context::full(&runtime)?.with(|context| {
        let globals = context.globals();
        globals.set("input", input)?;
        let print = |words: rquickjs::function::Rest<rquickjs::Coerced<String>>| {
            let words: Vec<_> = words.iter().map(|word| word.0.as_str()).collect();
            println!("{}", words.join(" "));
        };
        globals.set("print", Function::new(context.clone(), print)?)?;
        context.eval::<(), _>(SCRIPT)
    })?;
    while runtime.is_job_pending() {
        runtime.execute_pending_job().map_err(|_| "a job of the script failed")?;
    }
    Ok(())
}

//! WebAssembly: a fresh instance for every answer, as today's fastest platforms do.
//!
//! The module is compiled once, when the first answer is asked for. An instance's memory comes from
//! the pooling allocator, which keeps mappings and gives back what an instance has written.

use std::fs;
use std::io;
use std::sync::LazyLock;

use wasmtime::{
    Config, Engine, Instance, InstanceAllocationStrategy, InstancePre, Linker, Module,
    ModuleExport, PoolingAllocationConfig, Store,
};

const MODULE: &str = "/peers/hello.wat";
/// Instances that may live at the same time; each thread has at most one.
const INSTANCES_MAX: u32 = 256;
/// Memory of an instance: the module has 17 pages of 64 KiB.
const MEMORY_MAX: usize = 2 << 20;

static HELLO: LazyLock<Result<Hello, String>> =
    LazyLock::new(|| Hello::compile().map_err(|error| format!("{MODULE}: {error:#}")));

struct Hello {
    engine: Engine,
    prepared: InstancePre<()>,
    memory: ModuleExport,
    function: ModuleExport,
}

impl Hello {
    fn compile() -> wasmtime::Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_core_instances(INSTANCES_MAX)
            .total_memories(INSTANCES_MAX)
            .total_tables(INSTANCES_MAX)
            .max_memory_size(MEMORY_MAX);
        let mut config = Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config)?;
        let module = Module::new(&engine, fs::read(MODULE)?)?;
        let export = |name: &str| {
            module.get_export_index(name).ok_or_else(|| wasmtime::format_err!("no {name}"))
        };
        let (memory, function) = (export("memory")?, export("hello")?);
        let prepared = Linker::new(&engine).instantiate_pre(&module)?;
        Ok(Self { engine, prepared, memory, function })
    }

    fn run(&self, output: &mut Vec<u8>) -> wasmtime::Result<()> {
        let mut store = Store::new(&self.engine, ());
        let instance = self.prepared.instantiate(&mut store)?;
        let (address, len) = self.call(&instance, &mut store)?;
        let memory = instance.get_module_export(&mut store, &self.memory);
        let memory = memory.and_then(wasmtime::Extern::into_memory);
        let bytes = memory.as_ref().map_or(&[][..], |memory| memory.data(&store));
        let greeting = bytes.get(address..).and_then(|bytes| bytes.get(..len));
        output.extend(greeting.ok_or_else(|| wasmtime::format_err!("no greeting in memory"))?);
        Ok(())
    }

    /// Calls the function, which returns where in its memory the greeting lies: address, length.
    fn call(&self, instance: &Instance, store: &mut Store<()>) -> wasmtime::Result<(usize, usize)> {
        let function = instance.get_module_export(&mut *store, &self.function);
        let function = function.and_then(wasmtime::Extern::into_func);
        let function = function.ok_or_else(|| wasmtime::format_err!("hello is no function"))?;
        let (address, len) = function.typed::<(), (u32, u32)>(&*store)?.call(store, ())?;
        Ok((address as usize, len as usize))
    }
}

/// Makes an instance, calls it, appends its greeting to `output`, and drops it.
///
/// # Errors
/// If the module does not compile, or the instance does not do its work.
pub fn run(output: &mut Vec<u8>) -> io::Result<()> {
    let hello = HELLO.as_ref().map_err(|error| io::Error::other(error.as_str()))?;
    hello.run(output).map_err(|error| io::Error::other(format!("{error:#}")))
}

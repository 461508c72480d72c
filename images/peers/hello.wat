;; Returns the greeting of images/hello: address and length.
;;
;; Laid out as the Rust compiler does it: a stack of 1 MiB that grows down, constants above it. The
;; answer is built on the stack, so that an instance writes to its memory as real ones do.
(module
  (memory (export "memory") 17)
  (global $stack_pointer (mut i32) (i32.const 1048576))
  (data (i32.const 1048576) "{\22greeting\22:\22Hello, World!\22}")
  (func (export "hello") (result i32 i32)
    (local $answer i32)
    (local.set $answer (i32.sub (global.get $stack_pointer) (i32.const 32)))
    (global.set $stack_pointer (local.get $answer))
    (memory.copy (local.get $answer) (i32.const 1048576) (i32.const 28))
    (global.set $stack_pointer (i32.add (local.get $answer) (i32.const 32)))
    (local.get $answer)
    (i32.const 28)))

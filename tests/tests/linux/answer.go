// Answers JSON with JSON, by way of goroutines, a timer and the collector.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

func main() {
	var input struct {
		Name    string
		Numbers []int
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	squares := make([]int, len(input.Numbers))
	var group sync.WaitGroup
	for at, number := range input.Numbers {
		group.Add(1)
		go func(at, number int) {
			defer group.Done()
			time.Sleep(time.Millisecond)
			squares[at] = number * number
		}(at, number)
	}
	group.Wait()
	runtime.GC()
	recovered := ""
	func() {
		defer func() { recovered = fmt.Sprint(recover()) }()
		var nothing *struct{ member int }
		nothing.member = 1
	}()
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"greeting": "Hello, " + input.Name, "squares": squares, "recovered": recovered,
	})
}

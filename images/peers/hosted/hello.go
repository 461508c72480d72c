// Greets whom its input names, with the library's JSON in both directions.
package main

import (
	"encoding/json"
	"os"
)

type input struct {
	Name string `json:"name"`
}

type output struct {
	Greeting string `json:"greeting"`
}

func main() {
	who := input{Name: "everybody"}
	if json.NewDecoder(os.Stdin).Decode(&who) != nil {
		os.Exit(1)
	}
	text, err := json.Marshal(output{Greeting: "Hello, " + who.Name + "!"})
	if err != nil {
		os.Exit(1)
	}
	os.Stdout.Write(text)
}

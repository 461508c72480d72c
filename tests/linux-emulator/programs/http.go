// A web server by Go's net/http, as small programs are.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %d %s\n", r.Method, r.URL, len(body), r.Header.Get("X-Test"))
	})
	http.HandleFunc("/json", func(w http.ResponseWriter, r *http.Request) {
		var asked map[string]any
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"hello": asked["name"]})
	})
	http.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		for line := 0; line < 2000; line++ {
			fmt.Fprintf(w, "line %d\n", line)
			if line%500 == 0 {
				w.(http.Flusher).Flush()
			}
		}
	})
	http.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for number := 1; r.URL.Query().Get("to") != strconv.Itoa(number-1); number++ {
			fmt.Fprintf(w, "data: %d\n\n", number)
			w.(http.Flusher).Flush()
			time.Sleep(time.Millisecond)
		}
	})
	http.HandleFunc("/form", func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		http.SetCookie(w, &http.Cookie{Name: "a", Value: r.Form.Get("a")})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2", Path: "/"})
		http.Redirect(w, r, "/done", http.StatusSeeOther)
	})
	http.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(20 * time.Millisecond)
		w.WriteHeader(http.StatusTeapot)
	})
	http.HandleFunc("/panic", func(w http.ResponseWriter, r *http.Request) { panic("on purpose") })
	http.HandleFunc("/outside", func(w http.ResponseWriter, r *http.Request) {
		_, err := http.Get("http://192.0.2.1/")
		http.Error(w, fmt.Sprint(err), http.StatusBadGateway)
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}

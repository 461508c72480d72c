// Runs once, when it is deployed; `main` runs for each call, in a clean copy of what is then.

// Takes the request's JSON object and returns one, or a promise of one.
function main(args) {
  const name = args.name ?? "stranger";
  console.log("greeting", name); // is in the log: hk logs
  return { greeting: `Hello, ${name}!` };
}

"""Runs once, when it is deployed; `main` runs for each call, in a clean copy of what is then."""


def main(args):
    """Takes the request's JSON object and returns one."""
    name = args.get("name", "stranger")
    print("greeting", name)  # is in the log: hk logs
    return {"greeting": f"Hello, {name}!"}

// SQLite, linked statically: in memory, on files with a journal and with a log, and its functions.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int row(void *nothing, int count, char **values, char **names) {
    for (int at = 0; at < count; ++at)
        printf("%s=%s%s", names[at], values[at] ? values[at] : "NULL", at + 1 < count ? " " : "\n");
    return 0;
}

static void run(sqlite3 *base, const char *text) {
    char *error = NULL;
    int result = sqlite3_exec(base, text, row, NULL, &error);
    if (result) printf("%d: %s\n", result, error);
    sqlite3_free(error);
}

static void use(const char *path, const char *mode) {
    sqlite3 *base;
    printf("%s %s: %d\n", path, mode, sqlite3_open(path, &base));
    run(base, mode);
    run(base, "create table if not exists t (a integer primary key, b text, c real)");
    run(base, "begin");
    sqlite3_stmt *insert;
    sqlite3_prepare_v2(base, "insert into t (b, c) values (?, ?)", -1, &insert, NULL);
    for (int at = 0; at < 2000; ++at) {
        sqlite3_bind_text(insert, 1, at % 3 ? "some" : "other", -1, SQLITE_STATIC);
        sqlite3_bind_double(insert, 2, at / 7.0);
        sqlite3_step(insert);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    run(base, "commit");
    run(base, "select b, count(*) n, round(sum(c), 3) s from t group by b order by b");
    run(base, "create index i on t (c)");
    run(base, "select a from t where c between 100 and 100.3");
    run(base, "begin; delete from t; rollback");
    run(base, "insert into t (a) values (1)");
    run(base, "with recursive f (n, m) as (select 1, 1 union all select n + 1, m * n from f "
              "where n < 9) select max(m) from f");
    run(base, "select json_extract('{\"a\": [1, 2, {\"b\": 3}]}', '$.a[2].b') j");
    run(base, "select count(*) n, min(a) l, max(a) h from t");
    run(base, "vacuum");
    run(base, "pragma integrity_check");
    printf("closed %d\n", sqlite3_close(base));
}

int main(void) {
    use(":memory:", "pragma journal_mode");
    setenv("SQLITE_TMPDIR", "/tmp", 1);
    const char *modes[] = {"pragma journal_mode=delete", "pragma journal_mode=truncate",
                           "pragma journal_mode=wal"};
    for (int at = 0; at < 3; ++at) {
        chdir("/tmp");
        use("sqlite.test", modes[at]);
        sqlite3 *again;
        sqlite3_open("sqlite.test", &again);
        run(again, "select count(*) n from t");
        sqlite3_close(again);
        printf("removed %d %d\n", unlink("sqlite.test"), access("sqlite.test-journal", F_OK));
    }
    return 0;
}

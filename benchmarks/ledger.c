/* SPDX-License-Identifier: BSD-3-Clause */
/* ledger.c - see ledger.h. */
#include "ledger.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

enum { FIGURE_BYTES = 32 };

static struct {
    const char *benchmark;
    const struct flags *flags;
    FILE *csv;
    FILE *table;
} ledger;

static FILE *open_or_leave(const char *path, const char *mode)
{
    if (!path) return NULL;
    FILE *file = fopen(path, mode);
    if (!file) {
        perror(path);
        exit(1);
    }
    return file;
}

static void write_machine(FILE *csv)
{
    struct utsname machine;
    char day[32], processor[256] = "unknown processor", line[256];
    time_t now = time(NULL);
    uname(&machine);
    strftime(day, sizeof day, "%Y-%m-%d %H:%M", localtime(&now));
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "model name : %255[^\n]", processor) == 1) break;
    }
    if (file) fclose(file);
    const char *commit = getenv("BENCHMARKS_COMMIT");
    fprintf(csv, "# %s, commit %s, %s, Linux %s, %d jobs\n", day, commit ? commit : "unknown", processor,
            machine.release, ledger.flags->jobs);
}

void ledger_open(const char *benchmark, const char *question, const struct flags *flags)
{
    ledger.benchmark = benchmark;
    ledger.flags = flags;
    ledger.csv = open_or_leave(flags->csv, "we");
    ledger.table = open_or_leave(flags->table, "ae");
    printf("%s: %s\n", benchmark, question);
    if (!ledger.csv) return;
    write_machine(ledger.csv);
    fputs("benchmark,quantity,side,round,value,unit\n", ledger.csv);
}

void ledger_close(void)
{
    double others = rounds_others_percent();
    printf("\nothers used %.0f %% of the CPUs%s\n", others, others > 10 ? ": do not trust these figures" : "");
    if (ledger.csv) {
        fprintf(ledger.csv, "# others used %.0f %% of the CPUs\n", others);
        fclose(ledger.csv);
    }
    if (ledger.table) {
        fprintf(ledger.table, "# %s: others used %.0f %% of the CPUs\n", ledger.benchmark, others);
        fclose(ledger.table);
    }
}

static void write_samples(const char *quantity, const char *unit, const struct rounds_side *side)
{
    if (!ledger.csv) return;
    for (int round = 0; round < rounds_taken(side, ledger.flags->rounds); round++) {
        fprintf(ledger.csv, "%s,%s,\"%s\",%d,%.6g,%s\n", ledger.benchmark, quantity, side->name, round + 1,
                side->samples[round], unit);
    }
    fflush(ledger.csv);
}

void ledger_measure(const char *quantity, const char *unit, struct rounds_side *sides, size_t n_sides)
{
    int rounds = ledger.flags->rounds;
    rounds_run(sides, n_sides, rounds);
    printf("\n%-34s %12s %12s %12s  %s\n", quantity, "median", "lowest", "highest", unit);
    for (size_t i = 0; i < n_sides; i++) {
        write_samples(quantity, unit, &sides[i]);
        printf("  %-32s %12.4g %12.4g %12.4g\n", sides[i].name, rounds_median(&sides[i], rounds),
               rounds_lowest(&sides[i], rounds), rounds_highest(&sides[i], rounds));
    }
    fflush(stdout);
}

double ledger_median(const struct rounds_side *sides, size_t n_sides, const char *name)
{
    for (size_t i = 0; i < n_sides; i++) {
        if (strcmp(sides[i].name, name) == 0) return rounds_median(&sides[i], ledger.flags->rounds);
    }
    return ROUNDS_UNKNOWN;
}

static const char *verdict(const struct ledger_row *row)
{
    if (isnan(row->goal)) return "-";
    if (isnan(row->ratio)) return "not measured";
    bool reached = row->sense == LEDGER_AT_MOST ? row->ratio <= row->goal : row->ratio >= row->goal;
    return reached ? "yes" : "no";
}

static const char *format_figure(char text_out[FIGURE_BYTES], double value, const char *unit)
{
    if (isnan(value)) return "-";
    snprintf(text_out, FIGURE_BYTES, "%.*f%s%s", value < 10 ? 3 : value < 1000 ? 1 : 0, value, *unit ? " " : "", unit);
    return text_out;
}

void ledger_write_row(const struct ledger_row *row)
{
    FILE *table = ledger.table ? ledger.table : stdout;
    char ours[FIGURE_BYTES], peer[FIGURE_BYTES], ratio[FIGURE_BYTES], goal[FIGURE_BYTES] = "-";
    if (!isnan(row->goal)) {
        snprintf(goal, sizeof goal, "%s %.3g", row->sense == LEDGER_AT_MOST ? "<=" : ">=", row->goal);
    }
    fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", row->what, format_figure(ours, row->ours, row->unit),
            format_figure(peer, row->peer, row->unit), format_figure(ratio, row->ratio, ""), goal, verdict(row));
    fflush(table);
}

void ledger_at_most(const char *what, const char *unit, double ours, double peer, double goal)
{
    ledger_write_row(&(struct ledger_row){ what, ours, peer, unit, ours / peer, LEDGER_AT_MOST, goal });
}

void ledger_times_faster(const char *what, const char *unit, double ours, double peer, double goal)
{
    ledger_write_row(&(struct ledger_row){ what, ours, peer, unit, peer / ours, LEDGER_AT_LEAST, goal });
}

void ledger_efficiency(const char *what, const char *unit, double ours, double serial, int workers, double goal)
{
    ledger_write_row(
        &(struct ledger_row){ what, ours, serial, unit, serial / (workers * ours), LEDGER_AT_LEAST, goal });
}

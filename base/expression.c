/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * expression.c - the arithmetic that pre_dispatch may say.
 *
 *   sum     = product { ( "+" | "-" ) product }
 *   product = signed { ( "*" | "/" | "//" | "%" ) signed }
 *   signed  = "-" signed | power
 *   power   = atom [ "**" signed ]
 *   atom    = number | "n_jobs" | "(" sum ")"
 *
 * Values      doubles: below the limit whole numbers are exact in them. Where n_jobs is not known yet, what depends on
 *             it is NAN, which arithmetic carries along and no limit refuses.
 * Depth       the limit of characters is one of the recursion too.
 */
#include "base/expression.h"

#include "base/status.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST 1e6
enum { EXPONENT_MOST = 300, UNKNOWN_JOBS = 0 };

struct parser {
    const char *at;
    double n_jobs;         /* NAN: not known */
    const char *complaint; /* the first; NULL: none */
};

static const char *const NO_EXPRESSION =
    "expected \"all\", or at most 30 characters of numbers and n_jobs with ( ) + - * / // % **";

static double sum(struct parser *parser);

/* ------------------------------------------------------------------------------ words */

static double complain(struct parser *parser, const char *complaint)
{
    if (!parser->complaint) parser->complaint = complaint;
    return (double)NAN;
}

static double limited(struct parser *parser, double value)
{
    return fabs(value) > MOST ? complain(parser, "a number in it is beyond 1000000") : value;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The token at this place, not as the beginning of a longer operator; moved behind it and behind blanks. */
static bool take(struct parser *parser, const char *token)
{
    size_t length = strlen(token);
    bool is_single = length == 1 && (*token == '*' || *token == '/');
    if (parser->complaint || strncmp(parser->at, token, length) != 0) return false;
    if (is_single && parser->at[1] == *token) return false;
    parser->at += length;
    while (*parser->at == ' ') parser->at++;
    return true;
}

/* ---------------------------------------------------------------------------- numbers */

static int take_mantissa(struct parser *parser, double *mantissa)
{
    int digits = 0;
    for (; is_digit(*parser->at); parser->at++, digits++) *mantissa = *mantissa * 10 + (*parser->at - '0');
    return digits;
}

/* "e3", "E-3"; 0 where there is none. Cut where it decides already, so that it fits every type. */
static int take_exponent(struct parser *parser)
{
    const char *at = parser->at;
    int exponent = 0;
    if (*at != 'e' && *at != 'E') return 0;
    bool is_negative = *++at == '-';
    if (*at == '-' || *at == '+') at++;
    if (!is_digit(*at)) return 0;
    for (; is_digit(*at); at++)
        if (exponent < EXPONENT_MOST) exponent = exponent * 10 + (*at - '0');
    if (exponent > EXPONENT_MOST) exponent = EXPONENT_MOST;
    parser->at = at;
    return is_negative ? -exponent : exponent;
}

/* "16" "0.5" ".5" "2." "1e3" */
static double number(struct parser *parser)
{
    double mantissa = 0;
    int digits = take_mantissa(parser, &mantissa), decimals = 0;
    if (*parser->at == '.') {
        parser->at++;
        decimals = take_mantissa(parser, &mantissa);
    }
    if (digits + decimals == 0) return complain(parser, NO_EXPRESSION);
    int exponent = take_exponent(parser) - decimals;
    while (*parser->at == ' ') parser->at++;
    return limited(parser, exponent < 0 ? mantissa / pow(10, -exponent) : mantissa * pow(10, exponent));
}

/* --------------------------------------------------------------------------- operators */

static double divided(struct parser *parser, double a, double b)
{
    return b == 0 ? complain(parser, "it divides by zero") : a / b;
}

/* As Python has it: the sign is that of b. */
static double modulo(struct parser *parser, double a, double b)
{
    if (b == 0) return complain(parser, "it divides by zero");
    double rest = fmod(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

/* With modulo a whole; floor(a / b) is not, where a / b was rounded up to the next number. */
static double floored(struct parser *parser, double a, double b)
{
    return round((a - modulo(parser, a, b)) / b);
}

static double raised(struct parser *parser, double a, double b)
{
    if (a == 0 && b < 0) return complain(parser, "it divides by zero");
    double value = pow(a, b);
    if (isnan(value) && !isnan(a) && !isnan(b)) return complain(parser, "a power in it is no real number");
    return value;
}

/* ---------------------------------------------------------------------------- grammar */

static double atom(struct parser *parser)
{
    if (take(parser, "(")) {
        double value = sum(parser);
        return take(parser, ")") ? value : complain(parser, NO_EXPRESSION);
    }
    return take(parser, "n_jobs") ? limited(parser, parser->n_jobs) : number(parser);
}

static double negated(struct parser *parser)
{
    if (take(parser, "-")) return -negated(parser);
    double value = atom(parser);
    return take(parser, "**") ? limited(parser, raised(parser, value, negated(parser))) : value;
}

static double product(struct parser *parser)
{
    double value = negated(parser);
    for (;;) {
        if (take(parser, "//"))
            value = floored(parser, value, negated(parser));
        else if (take(parser, "/"))
            value = divided(parser, value, negated(parser));
        else if (take(parser, "*"))
            value *= negated(parser);
        else if (take(parser, "%"))
            value = modulo(parser, value, negated(parser));
        else
            return value;
        value = limited(parser, value);
    }
}

static double sum(struct parser *parser)
{
    double value = product(parser);
    for (;;) {
        if (take(parser, "+"))
            value += product(parser);
        else if (take(parser, "-"))
            value -= product(parser);
        else
            return value;
        value = limited(parser, value);
    }
}

/* NULL, or what is wrong; *value_out is NAN where it depends on an unknown n_jobs. */
static const char *evaluate(const char *text, int n_jobs, double *value_out)
{
    struct parser parser = { text, n_jobs == UNKNOWN_JOBS ? (double)NAN : (double)n_jobs, NULL };
    if (strlen(text) > LOOM_EXPRESSION_MOST_CHARACTERS) return NO_EXPRESSION;
    while (*parser.at == ' ') parser.at++;
    *value_out = sum(&parser);
    if (*parser.at) complain(&parser, NO_EXPRESSION);
    return parser.complaint;
}

/* ------------------------------------------------------------------------------ asked */

static parloom_status refuse(parloom_error *error, const char *name, const char *text, const char *why)
{
    return loom_status_fail(error, PARLOOM_ERR_INVALID, 0, "could not convert %.64s=\"%.100s\": %s", name, text, why);
}

static parloom_status refuse_less(parloom_error *error, const char *name, const char *text, double value, int n_jobs)
{
    char why[96] = "it is less than one task";
    if (n_jobs != UNKNOWN_JOBS)
        (void)snprintf(why, sizeof why, "with n_jobs %d it is %.6g, less than one task", n_jobs, value);
    return refuse(error, name, text, why);
}

parloom_status loom_expression_evaluate(const char *text, int n_jobs, double *value_out, parloom_error *error)
{
    double value = 0;
    const char *complaint = evaluate(text, n_jobs, &value);
    if (complaint) return refuse(error, "expression", text, complaint);
    *value_out = value;
    return PARLOOM_OK;
}

static parloom_status check(const char *name, const char *text, int n_jobs, double *value_out, parloom_error *error)
{
    *value_out = (double)INFINITY;
    if (strcmp(text, "all") == 0) return PARLOOM_OK;
    const char *complaint = evaluate(text, n_jobs, value_out);
    if (complaint) return refuse(error, name, text, complaint);
    return *value_out < 1 ? refuse_less(error, name, text, *value_out, n_jobs) : PARLOOM_OK;
}

parloom_status loom_expression_check(const char *name, const char *text, parloom_error *error)
{
    double value;
    return check(name, text, UNKNOWN_JOBS, &value, error);
}

parloom_status loom_expression_tasks(const char *text, int n_jobs, size_t *tasks_out, parloom_error *error)
{
    double value;
    parloom_status status = check("pre_dispatch", text, n_jobs, &value, error);
    if (status == PARLOOM_OK) *tasks_out = isinf(value) ? SIZE_MAX : (size_t)value;
    return status;
}

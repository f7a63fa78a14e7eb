/*
 * environment.h - the calling thread's floating-point environment
 */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

/* Whether arithmetic rounds to nearest even and keeps subnormals. Somebody else may have switched
 * that: libraries that are compiled with -ffast-math do when they are loaded. */
int caq_has_usable_arithmetic(void);

#endif

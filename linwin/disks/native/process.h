/* What a process must say to the kernel before it runs anything else. */
#ifndef LINWIN_PROCESS_H
#define LINWIN_PROCESS_H

/*
 * Has the kernel kill this process when the thread that started it ends.
 * `parent` is that process's id; when it is gone already, this process ends here.
 */
void die_with_parent(int parent);

#endif

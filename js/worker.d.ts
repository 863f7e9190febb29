/** The script to fork; it exports nothing. */
export {};

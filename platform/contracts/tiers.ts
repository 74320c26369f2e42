/** The four tiers, in the order the platform starts and migrates them. */
export const TIERS = ['oltp', 'content', 'analytics', 'queue'] as const
export type Tier = (typeof TIERS)[number]

/** What is rendered into one mail; a mail has at least one of the bodies. */
export type TemplateText = { subject: string; bodyText: string | null; bodyHtml: string | null }

/** The parts of a template, by the name that its input field has. */
export type TemplatePart = keyof TemplateText

export const TEMPLATE_PARTS: readonly TemplatePart[] = ['subject', 'bodyText', 'bodyHtml']

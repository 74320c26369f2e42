import type pg from 'pg'

/** In names of partitions. Which months have one depends on when they were made. */
const MONTH = /_\d{4}_\d\d/g

/** One line for everything that migrations make: relations, columns, keys, policies, grants, functions, comments. */
export async function describeCatalogue(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ line: string }>(OBJECTS)
  return rows.map(({ line }) => line.replaceAll(MONTH, '_month')).sort()
}

const OURS = `relnamespace = 'public'::regnamespace AND relname NOT LIKE '\\_prisma\\_migrations%'`

const OBJECTS = `
  SELECT format('relation %s %s %s %s %s %s', relname, relkind, relrowsecurity, relforcerowsecurity, reloptions, relacl) AS line
  FROM pg_class WHERE ${OURS}
  UNION ALL
  SELECT format('column %s.%s %s %s %s %s', relname, attname, format_type(atttypid, atttypmod), attnotnull, attacl,
                (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = c.oid AND adnum = attnum))
  FROM pg_class c JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped WHERE ${OURS}
  UNION ALL
  SELECT format('index %s', pg_get_indexdef(indexrelid)) FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE ${OURS}
  UNION ALL
  SELECT format('constraint %s %s %s', relname, conname, pg_get_constraintdef(con.oid))
  FROM pg_constraint con JOIN pg_class c ON c.oid = conrelid WHERE ${OURS}
  UNION ALL
  SELECT format('view %s %s', relname, pg_get_viewdef(oid)) FROM pg_class WHERE relkind IN ('v', 'm') AND ${OURS}
  UNION ALL
  SELECT format('policy %s %s %s %s %s %s', relname, polname, polcmd, polroles::regrole[],
                pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
  FROM pg_policy JOIN pg_class c ON c.oid = polrelid WHERE ${OURS}
  UNION ALL
  SELECT format('trigger %s', pg_get_triggerdef(g.oid))
  FROM pg_trigger g JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal AND ${OURS}
  UNION ALL
  SELECT format('function %s %s', pg_get_functiondef(p.oid), proacl) FROM pg_proc p
  WHERE pronamespace = 'public'::regnamespace AND prokind IN ('f', 'p')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
  UNION ALL
  SELECT format('type %s %s', typname, typtype) FROM pg_type t WHERE typnamespace = 'public'::regnamespace
    AND typtype IN ('e', 'd', 'r') AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
  UNION ALL
  SELECT format('extension %s', extname) FROM pg_extension
  UNION ALL
  SELECT format('schema %s', nspname) FROM pg_namespace WHERE nspname !~ '^pg_'
  UNION ALL
  SELECT format('comment %s %s: %s', relname, attname, description)
  FROM pg_description JOIN pg_class c ON c.oid = objoid AND classoid = 'pg_class'::regclass
  LEFT JOIN pg_attribute ON attrelid = c.oid AND attnum = objsubid AND objsubid > 0 WHERE ${OURS}`

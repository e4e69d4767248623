-- The key of an e-mail address was its case folding, which made one key of fuß.test and fuss.test, two domains. It is the
-- address in lower case now. The two differ for the letters below only; all other keys stay. Only a database in UTF-8
-- knows letters.
UPDATE unique_keys k
   SET key = lower(p.email)
  FROM people p
 WHERE k.scope = 'email'
   AND k.owner = p.user_id
   AND getdatabaseencoding() = 'UTF8'
   AND p.email ~ ('[\u00b5\u00df\u0149\u017f\u01f0\u0345\u0390\u03b0\u03c2\u03d0\u03d1\u03d5\u03d6\u03f0\u03f1\u03f5\u0587'
                  '\u13a0-\u13f5\u13f8-\u13fd\u1c80-\u1c88\u1e96-\u1e9b\u1e9e\u1f50\u1f52\u1f54\u1f56\u1f80-\u1faf'
                  '\u1fb2-\u1fb4\u1fb6\u1fb7\u1fbc\u1fc2-\u1fc4\u1fc6\u1fc7\u1fcc\u1fd2\u1fd6\u1fd7\u1fe2\u1fe4\u1fe6'
                  '\u1fe7\u1ff2-\u1ff4\u1ff6\u1ff7\u1ffc\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17]');

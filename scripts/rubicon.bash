# Completion for bash: source this file, or put it into /usr/share/bash-completion/completions/rubicon.
# What can be attached to is asked of `rubicon targets --names` each time.

_rubicon() {
	local current=${COMP_LINE:0:COMP_POINT} program=${COMP_WORDS[0]} command=${COMP_WORDS[1]} word cut
	current=${current##*[[:space:]]}
	# Readline takes a colon for the end of a word: only what is behind the last one is to be replaced.
	cut=${current%"${current##*:}"}
	[[ $COMP_WORDBREAKS == *:* ]] || cut=
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "run attach targets watch sessions replay export verify doctor keys \
			freeze thaw kill" -- "$current")
	elif [[ $command == attach && $current == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "--all-containers --label --policy --rules --trace --jsonl --fail-on \
			--enforce --tui --no-tui" -- "$current")
	elif [ "$command" = attach ]; then
		while IFS= read -r word; do
			[[ $word == "$current"* ]] && COMPREPLY+=("${word#"$cut"}")
		done < <("$program" targets --names 2>/dev/null)
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
	fi
}
complete -F _rubicon rubicon
